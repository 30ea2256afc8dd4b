"""What handlers work with, and who asks. The door (`auth.py`) puts both into the connection's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
from starlette.requests import HTTPConnection

from ..control.door import Control
from ..control.principals import Principal, Visitor
from ..domain.desktops import NewSsh
from ..domain.entities import Desktop, HostKey
from ..domain.errors import FieldError, invalid_fields
from ..domain.permissions import Reach, may
from ..domain.watching import CheckReport, Metrics
from ..streams.find import Finder
from ..streams.frames import Frames
from .proxies import Proxies
from .rate_limits import REQUESTS_PER_MINUTE, STREAMS_PER_KEY, WRONG_KEYS_PER_MINUTE


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
    wrong_keys_per_minute: int = WRONG_KEYS_PER_MINUTE  # from one address; 0 is no limit
    streams_per_key: int = STREAMS_PER_KEY  # at once, of one key or person; 0 is no limit
    public_metrics: bool = False  # without a key
    proxies: Proxies = ()  # whose word about where a request comes from is taken


def services_of(connection: HTTPConnection) -> Services:
    """What the handlers of this connection work with."""
    return connection.scope["state"]["services"]


def principal_of(connection: HTTPConnection) -> Principal:
    """Who asks. Only on routes that need a permission: the door lets nobody else in there."""
    principal = connection.scope["state"]["principal"]
    assert principal is not None, "a public route has no principal"
    return principal


def reach_of(connection: HTTPConnection) -> Reach:
    """The desktops that who asks sees and acts on now; None is all of them."""
    return services_of(connection).control.access.reach(principal_of(connection))


def sees_addresses(connection: HTTPConnection) -> bool:
    """Whether who asks sees from where people came: admins do, who have to follow what others did."""
    return may(principal_of(connection).role, "administer")


def header_of(connection: HTTPConnection, name: bytes) -> str | None:
    """A header field of the request, the first of that name in lower case."""
    value = connection.scope["state"]["headers"].get(name)
    return None if value is None else value.decode("latin-1")


def headers_of(connection: HTTPConnection, name: bytes) -> list[str]:
    """All header fields of the request with a name in lower case."""
    return [value.decode("latin-1") for given, value in connection.scope["headers"] if given == name]


def visitor_of(connection: HTTPConnection) -> Visitor:
    """Where a request comes from."""
    client = connection.scope.get("client")
    return Visitor(client[0] if client else None, header_of(connection, b"user-agent"))


def is_encrypted(connection: HTTPConnection) -> bool:
    """Whether the browser's side of the connection has TLS: here, or at a proxy that is trusted."""
    return services_of(connection).tls or connection.scope["scheme"] in ("https", "wss")


def refuse_beyond(reach: Reach, named: Mapping[str, str]) -> None:
    """Refuse a body that names desktops out of reach, by JSON pointer, in the words of one that does not exist."""
    if reach is not None and (
        errors := [FieldError(at, f"there is no desktop {id}") for at, id in named.items() if id not in reach]
    ):
        raise invalid_fields(errors)
