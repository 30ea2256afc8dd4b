"""Who makes a request, and from where."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET

from ..domain.values import Actor, Role


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request, from where, and what they may do; with `labels` only on desktops that carry one of them."""

    kind: Literal["key", "session", "local"]
    id: str
    name: str
    role: Role
    key_id: str | None = None
    session_id: str | None = None
    labels: tuple[str, ...] = ()
    address: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(id=self.id, name=self.name, via=self.kind, address=self.address or UNSET)


LOCAL = Principal(kind="local", id="local", name="local", role="admin")
"""Whoever may open the data directory's socket owns the data anyway."""


class Visitor(NamedTuple):
    """Where a request comes from, as far as it can be known."""

    address: str | None = None
    user_agent: str | None = None
