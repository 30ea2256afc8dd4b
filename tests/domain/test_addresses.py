"""Where an agent may be asked, whatever form its address takes; the outpost judges as the server does."""

from __future__ import annotations

import socket

import pytest

from mission_control.domain.addresses import agent_address_problem, networks_of
from mission_control.outpost import outpost

LAN = ("10.0.0.0/8", "fd00::/8")
EVERYTHING = ("0.0.0.0/0", "::/0")

NEVER = [
    "169.254.169.254",  # the metadata of most clouds
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:169.254.169.254",  # the same through IPv6's ways to write IPv4
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",  # a system takes it for itself
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
]


@pytest.mark.parametrize("address", NEVER)
def test_link_local_and_metadata_addresses_are_never_asked(address: str):
    for from_desktop in (True, False):
        assert agent_address_problem(address, networks_of(EVERYTHING), from_desktop=from_desktop)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_loopback_is_the_desktops_own_and_the_servers_only_by_name(address: str):
    assert agent_address_problem(address, (), from_desktop=True) is None
    assert agent_address_problem(address, (), from_desktop=False)
    assert agent_address_problem(address, networks_of(EVERYTHING), from_desktop=False), "everything does not name it"
    assert agent_address_problem(address, networks_of(["127.0.0.0/8", "::1"]), from_desktop=False) is None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::7"])
def test_another_network_is_asked_only_when_it_is_allowed(address: str):
    for from_desktop in (True, False):
        assert agent_address_problem(address, (), from_desktop=from_desktop)
        assert agent_address_problem(address, networks_of(["192.168.0.0/16"]), from_desktop=from_desktop)
        assert agent_address_problem(address, networks_of(LAN), from_desktop=from_desktop) is None


@pytest.mark.parametrize("form", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "localhost"])
def test_any_way_to_write_loopback_is_loopback(form: str):
    found = {address[0] for *_, address in socket.getaddrinfo(form, 80, type=socket.SOCK_STREAM)}
    assert found
    assert all(agent_address_problem(str(address), (), from_desktop=False) for address in found)


@pytest.mark.parametrize("networks", [(), LAN, EVERYTHING])
def test_the_outpost_judges_as_the_server_does(networks: tuple[str, ...]):
    for address in [
        *NEVER,
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "fd12::7",
        "8.8.8.8",
    ]:
        ours = agent_address_problem(address, networks_of(networks), from_desktop=True)
        assert bool(outpost.address_problem(address, networks)) == bool(ours), address


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.1/8", "everything", "http://10.0.0.1"])
def test_what_is_no_network_is_said_to_be_none(text: str):
    with pytest.raises(ValueError, match=r"\w"):
        networks_of([text])
