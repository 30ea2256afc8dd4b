"""Known hosts: what holds for all desktops whose host matches, as lines of known_hosts with a marker do for `ssh`.

`cert-authority`: the key signs the certificates by which they prove themselves. `revoked`: the key proves nothing.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from . import limits
from .desktops import apply_known_hosts, public_key_problem
from .entities import Desktop, KnownHost, Marker
from .errors import KNOWN_HOST_EXISTS, KNOWN_HOSTS_FULL, NOT_FOUND, FieldError, Refused, invalid, invalid_fields
from .events import Event, KnownHostAdded, KnownHostRemoved
from .shapes import HOST_PATTERN, HostPatterns, PublicKey
from .values import Actor, Time, Value

_PATTERN = re.compile(HOST_PATTERN)


class NewKnownHost(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key, and for which hosts it is an authority or is revoked."""

    marker: Marker
    hosts: HostPatterns
    public_key: PublicKey


def add(
    new: NewKnownHost,
    known: Mapping[str, KnownHost],
    desktops: Iterable[Desktop],
    *,
    id: str,
    at: Time,
    actor: Actor,
) -> list[Event]:
    """Trust an authority, or revoke a key. Desktops for which that changes how they prove themselves connect anew."""
    if errors := _problems_of(new):
        raise invalid_fields(errors)
    for other in known.values():
        if (other.marker, other.hosts, other.public_key) == (new.marker, new.hosts, new.public_key):
            raise Refused(KNOWN_HOST_EXISTS, id=other.id)
    if len(known) >= limits.KNOWN_HOSTS_MAX:
        raise Refused(KNOWN_HOSTS_FULL, count=len(known))
    added = KnownHost(
        id=id,
        marker=new.marker,
        hosts=new.hosts,
        public_key=new.public_key,
        fingerprint=_fingerprint(new.public_key),
        created_at=at,
        created_by=actor.who,
    )
    facts = {name: getattr(added, name) for name in KnownHost.__struct_fields__ if name != "id"}
    return [KnownHostAdded(known_host_id=id, **facts), *_applied([*known.values(), added], desktops)]


def remove(id: str, known: Mapping[str, KnownHost], desktops: Iterable[Desktop], *, at: Time) -> list[Event]:
    """It does not hold any more: what was trusted by it alone waits for a confirmed host key."""
    found = known.get(id)
    if found is None:
        raise Refused(NOT_FOUND, kind="known host", id=id)
    removed = KnownHostRemoved(
        known_host_id=id, marker=found.marker, hosts=found.hosts, fingerprint=found.fingerprint, removed_at=at
    )
    return [removed, *_applied([one for one in known.values() if one is not found], desktops)]


def _applied(known: Sequence[KnownHost], desktops: Iterable[Desktop]) -> list[Event]:
    return [event for desktop in desktops for event in apply_known_hosts(desktop, known)]


def _problems_of(new: NewKnownHost) -> list[FieldError]:
    errors: list[FieldError] = []
    if not 1 <= len(new.hosts) <= limits.HOST_PATTERNS_MAX:
        errors.append(FieldError("/hosts", f"must be 1 to {limits.HOST_PATTERNS_MAX} patterns"))
    for index, pattern in enumerate(new.hosts):
        if not _PATTERN.fullmatch(pattern) or len(pattern) > 255:
            errors.append(FieldError(f"/hosts/{index}", "is no pattern of host names, such as *.example.com"))
    if wrong := public_key_problem(new.public_key):
        errors.append(FieldError("/publicKey", wrong))
    return errors


def _fingerprint(public_key: str) -> str:
    """As OpenSSH prints it."""
    try:
        raw = b64decode(public_key.split()[1], validate=True)
    except ValueError:
        raise invalid("/publicKey", "is not a public key: its second word is no base64") from None
    return f"SHA256:{b64encode(sha256(raw).digest()).rstrip(b'=').decode()}"
