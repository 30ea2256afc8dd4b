"""The door: every request, stream and WebSocket passes it, and its route says which permission it needs.

- `Host` is on the list, so that no other name can be pointed at this server (DNS rebinding).
- An `Origin` that is present is this server's own; a cookie that changes something, or opens a WebSocket, needs one.
- A key in a header, or a session cookie, names the principal; a route that is not public needs one with its role.
- The local administration socket has a fixed principal: no key, no Origin, no Host, no limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ..control.access import Principal
from ..domain.errors import FORBIDDEN, HOST_REFUSED, ORIGIN_REFUSED, RATE_LIMITED, UNAUTHORIZED, Refused
from ..domain.permissions import NEEDED, may
from .rate_limits import WRONG_KEYS_PER_MINUTE, RateLimit
from .routes import Access
from .services import Services

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
DEFAULT_PORTS = {"http": 80, "https": 443}


def cookie_name(services: Services) -> str:
    """The session cookie's name: with the server's id, since cookies do not tell ports apart."""
    return f"mission_control_{services.control.log.server_id[:8]}"


def count_wrong_key(connection: HTTPConnection) -> None:
    """A key or link that opens nothing was shown. Raises Refused when there were too many from this address."""
    limit: RateLimit | None = connection.scope["state"]["wrong_keys"]
    if limit is None:
        return
    taken = limit.take(connection.client.host if connection.client else "")
    if taken.retry_seconds:
        raise Refused(RATE_LIMITED, seconds=taken.retry_seconds)


class Door:
    """Plain ASGI around the routes."""

    def __init__(
        self,
        app: ASGIApp,
        services: Services,
        access_of: Callable[[Scope], Access],
        *,
        principal: Principal | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._services = services
        self._access_of = access_of
        self._principal = principal
        self._hosts = frozenset(_bare(name) for name in services.allowed_hosts)
        self._wrong_keys = None if principal else RateLimit(WRONG_KEYS_PER_MINUTE, clock)
        has_limit = principal is None and services.requests_per_minute > 0
        self._requests = RateLimit(services.requests_per_minute, clock) if has_limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        state |= {"services": self._services, "principal": None, "wrong_keys": self._wrong_keys}
        state["principal"] = principal = self._enter(HTTPConnection(scope), self._access_of(scope))
        if principal and self._requests:
            taken = self._requests.take(f"{principal.kind} {principal.credential.hex()}")
            state["fields"] |= self._requests.fields(taken)
            if taken.retry_seconds:
                raise Refused(RATE_LIMITED, seconds=taken.retry_seconds)
        await self._app(scope, receive, send)

    def _enter(self, connection: HTTPConnection, access: Access) -> Principal | None:
        """Who comes in. Raises Refused for whoever may not."""
        if self._principal:
            return self._principal
        host = self._check_host(connection)
        origins = connection.headers.getlist("origin")
        if origins and (len(origins) > 1 or not _is_own(origins[0], host, tls=self._services.tls)):
            raise Refused(ORIGIN_REFUSED)
        if access == "public":
            return None
        principal = self._identify(connection, has_origin=bool(origins))
        if not may(principal.role, access):
            raise Refused(FORBIDDEN, needed=NEEDED[access], role=principal.role)
        return principal

    def _check_host(self, connection: HTTPConnection) -> str:
        hosts = connection.headers.getlist("host")
        if len(hosts) != 1 or _bare(hosts[0]) not in self._hosts:
            raise Refused(HOST_REFUSED, host=", ".join(hosts)[:200] or "(none)")
        return hosts[0]

    def _identify(self, connection: HTTPConnection, *, has_origin: bool) -> Principal:
        access = self._services.control.access
        if key := _key(connection):
            principal = access.by_key(key)
            if principal is None:
                count_wrong_key(connection)
                raise Refused(UNAUTHORIZED)
            return principal
        token = connection.cookies.get(cookie_name(self._services))
        principal = access.by_session(token) if token else None
        if principal is None:
            raise Refused(UNAUTHORIZED)
        is_safe = connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS
        if not is_safe and not has_origin:
            raise Refused(ORIGIN_REFUSED)
        return principal


def _key(connection: HTTPConnection) -> str | None:
    """The key that a program sends."""
    if key := connection.headers.get("x-api-key"):
        return key.strip()
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _bare(host: str) -> str:
    """A host's name without port, brackets and the dot at its end."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.removesuffix(".")


def _is_own(origin: str, host: str, *, tls: bool) -> bool:
    """Whether an Origin is this server as the browser reached it. A proxy in front may have taken TLS off."""
    try:
        own, here = urlsplit(origin), urlsplit(f"//{host}")
        is_bare = origin == f"{own.scheme}://{own.netloc}" and "@" not in origin
        if own.scheme not in DEFAULT_PORTS or (tls and own.scheme != "https") or not is_bare:
            return False
        default = DEFAULT_PORTS[own.scheme]
        return own.hostname == here.hostname and (own.port or default) == (here.port or default)
    except ValueError:
        return False
