"""API keys: random, shown once, stored as a digest elsewhere; here is what is known about them.

A key is `mc_k_` and 43 characters of base64url (256 bits). It is high in entropy, so a plain SHA-256 digest suffices.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from . import limits
from .entities import Key
from .errors import LAST_ADMIN_KEY, NOT_FOUND, Refused, invalid
from .events import Event, KeyCreated, KeyRevoked
from .shapes import Labels, Name
from .tasks import labels_problem
from .times import microseconds, rfc3339
from .values import Role, Time, Value, is_name

PREFIX = "mc_k_"
KEY_BYTES = 32


class NewKey(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a person gives to make a key."""

    name: Name
    role: Role = "operator"
    expires_at: Annotated[Time, Meta(extra_json_schema={"format": "date-time"})] | None = None  # in the future
    desktop_labels: Labels = ()  # only desktops that carry one of them; not for admins


def key_text(entropy: bytes) -> str:
    """The key itself, from 32 random bytes."""
    assert len(entropy) == KEY_BYTES, "a key takes 32 bytes of entropy"
    return PREFIX + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def digest(secret: str) -> bytes:
    """What is stored of a key, a session or a sign-in link."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def create(new: NewKey, *, id: str, secret: str, at: Time) -> list[Event]:
    """A new key. One that is restricted to desktops is no admin: an admin could lift the restriction."""
    if not is_name(new.name, limits.NAME_CHARACTERS_MAX):
        raise invalid("/name", f"must have 1 to {limits.NAME_CHARACTERS_MAX} printable characters")
    expires_at = new.expires_at
    if expires_at is not None:
        try:
            expires_at = rfc3339(microseconds(expires_at))
        except (ValueError, OverflowError):
            raise invalid("/expiresAt", "is not a time such as 2027-01-31T12:00:00Z") from None
        if expires_at <= at:
            raise invalid("/expiresAt", "lies in the past")
    if problem := labels_problem(new.desktop_labels):
        raise invalid("/desktopLabels", problem)
    if new.desktop_labels and new.role == "admin":
        raise invalid("/desktopLabels", "belongs to a viewer or operator; an admin is not restricted to desktops")
    return [
        KeyCreated(
            key_id=id,
            name=new.name,
            role=new.role,
            last4=secret[-4:],
            desktop_labels=new.desktop_labels,
            created_at=at,
            expires_at=expires_at,
        )
    ]


def revoke(key: Key | None, id: str, keys: Iterable[Key], *, at: Time, by_owner: bool) -> list[Event]:
    """End a key. The last admin key ends only at the hands of the server's owner, who can make another."""
    if key is None or key.revoked_at:
        raise Refused(NOT_FOUND, kind="key", id=id)
    others = [other for other in keys if other.id != key.id and other.role == "admin" and is_valid(other, at)]
    if key.role == "admin" and not others and not by_owner:
        raise Refused(LAST_ADMIN_KEY)
    return [KeyRevoked(key_id=key.id, revoked_at=at)]


def is_valid(key: Key, at: Time) -> bool:
    """Whether the key opens anything at that time."""
    return key.revoked_at is None and (key.expires_at is None or at < key.expires_at)
