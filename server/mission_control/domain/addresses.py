"""Host and user names as they may reach SSH, and the addresses at which an agent may be asked.

A name is data, never an option, a shell's word or something invisible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

HOST_REFUSED = r"""\x00-\x20\x7f-\xa0'`"$\\;&<>|(){}*?!,@/#\[\]\u2028\u2029\u202a-\u202e\u2066-\u2069"""
USER_REFUSED = r"""\x00-\x20\x7f-\xa0'`";&<>|(){}\u2028\u2029\u202a-\u202e\u2066-\u2069"""
"""Characters, as they stand in a class of a regular expression."""

HOST_CHARACTERS_REFUSED = re.compile(f"[{HOST_REFUSED}]")
USER_CHARACTERS_REFUSED = re.compile(f"[{USER_REFUSED}]")


def host_problem(host: str) -> str | None:
    """What is wrong with a host name, address or alias, as the end of a sentence; None when nothing is."""
    return _name_problem(host, HOST_CHARACTERS_REFUSED)


def username_problem(username: str) -> str | None:
    """What is wrong with a user name, as the end of a sentence; None when nothing is."""
    if username.endswith("\\"):
        return "ends with a backslash"
    return _name_problem(username, USER_CHARACTERS_REFUSED)


def _name_problem(name: str, refused: re.Pattern[str]) -> str | None:
    if not name:
        return "is empty"
    if len(name) > 255:
        return "is longer than 255 characters"
    if name.startswith("-"):
        return "begins with a dash"
    if found := refused.search(name):
        return f"contains {found.group()!r}"
    return None


Network = IPv4Network | IPv6Network

METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Where clouds answer their machines with credentials, beside the link-local 169.254.169.254."""

_NAT64 = IPv6Network("64:ff9b::/96")


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks in CIDR form, such as 10.0.0.0/8; a single address is one too. Raises ValueError with a sentence."""
    return tuple(ip_network(text.strip()) for text in texts)


def agent_address_problem(address: str, networks: Iterable[Network], *, from_desktop: bool) -> str | None:
    """Why an agent may not be asked at this numeric address, as the end of a sentence; None when it may.

    A desktop may always ask its own loopback; the server's loopback must be allowed by name, as a network that lies
    within it. What else may be asked is what `networks` allow, but never link-local or metadata addresses.
    """
    asked = _plain(ip_address(address.partition("%")[0]))
    if asked.is_loopback:
        allowed = from_desktop or any(asked in network for network in networks if network.is_loopback)
        return None if allowed else "is the server's own loopback, which no --agent-network names"
    if asked.is_link_local or asked in METADATA:
        return "is a link-local or metadata address, which is never asked"
    if asked.is_unspecified or asked.is_multicast or (asked.version == 4 and asked.is_reserved):
        return "is no address of one host"
    if not any(asked in network for network in networks):
        return "is not within an --agent-network of the server"
    return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
