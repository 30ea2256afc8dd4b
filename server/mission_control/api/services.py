"""What handlers work with, and who asks. The door (`auth.py`) puts both into the connection's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
from starlette.requests import HTTPConnection

from ..control.access import Principal
from ..control.door import Control
from ..domain.desktops import NewSsh
from ..domain.entities import Desktop, HostKey
from ..domain.watching import CheckReport, Metrics
from ..streams.find import Finder
from ..streams.frames import Frames

REQUESTS_PER_MINUTE = 6000


class Probe(Protocol):
    """Looks at a desktop now, without changing anything."""

    async def offered(self, ssh: NewSsh) -> list[HostKey]:
        """The host keys that a host can prove; no user name and no secret is sent. Raises Unreachable."""
        ...

    async def check(self, desktop: Desktop) -> CheckReport:
        """Try each step of using a desktop, in order. What fails is in the report; nothing is raised for it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the API stands on."""

    control: Control
    probe: Probe
    metrics: Callable[[], dict[str, Metrics]]  # the newest, by desktop id
    allowed_hosts: frozenset[str]  # names without port that a request's Host may have
    tls: bool
    version: str
    stopping: anyio.Event
    finder: Finder
    dashboard: Path | None  # the folder of the built dashboard
    is_ready: Callable[[], bool] = lambda: True  # the log can be written and the runner is alive
    frames: Frames = field(default_factory=Frames)  # what sockets share
    url: str = ""  # where people find this server
    requests_per_minute: int = REQUESTS_PER_MINUTE  # of one key or session; 0 is no limit


def services_of(connection: HTTPConnection) -> Services:
    """What the handlers of this connection work with."""
    return connection.scope["state"]["services"]


def principal_of(connection: HTTPConnection) -> Principal:
    """Who asks. Only on routes that need a permission: the door lets nobody else in there."""
    principal = connection.scope["state"]["principal"]
    assert principal is not None, "a public route has no principal"
    return principal
