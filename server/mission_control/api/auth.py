"""The door: every request, stream and WebSocket passes it, and its route says which permission it needs.

- `Host` is on the list, so that no other name can be pointed at this server (DNS rebinding).
- An `Origin` that is present is this server's own; a cookie that changes something, or opens a WebSocket, needs one.
- A key in a header, or a session cookie, names the principal; a route that is not public needs one with its role.
- The local administration socket has a fixed principal: no key, no Origin, no Host, no limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..control.principals import Principal
from ..control.sessions import SESSION_SECONDS
from ..domain.errors import FORBIDDEN, HOST_REFUSED, ORIGIN_REFUSED, RATE_LIMITED, UNAUTHORIZED, Refused
from ..domain.events import SignInMethod
from ..domain.permissions import NEEDED, may
from .rate_limits import OpenStreams, RateLimit
from .routes import Access
from .services import Services, header_of, headers_of, is_encrypted, services_of, visitor_of

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
HSTS = (b"strict-transport-security", b"max-age=31536000")  # browsers that came by TLS once come by it for a year
DEFAULT_PORTS = {"http": 80, "https": 443}


def cookie_name(connection: HTTPConnection) -> str:
    """The session cookie's name: with the server's id, since cookies do not tell ports apart. With TLS the browser
    takes it from this very host only."""
    prefix = "__Host-" if is_encrypted(connection) else ""
    return f"{prefix}mission_control_{services_of(connection).control.log.server_id[:8]}"


def session_token(connection: HTTPConnection) -> str | None:
    """The token of the session cookie that a browser sends."""
    return connection.cookies.get(cookie_name(connection))


def session_cookie(connection: HTTPConnection, token: str) -> str:
    """The `Set-Cookie` that hands a session's token to a browser; an empty token takes it away."""
    response = Response()
    response.set_cookie(
        cookie_name(connection),
        token,
        max_age=SESSION_SECONDS if token else 0,
        httponly=True,
        samesite="lax",
        secure=is_encrypted(connection),
    )
    return response.headers["set-cookie"]


def count_wrong_key(connection: HTTPConnection, method: SignInMethod) -> None:
    """A key or link that opens nothing was shown: it is told, and counted. Raises Refused when there were too many
    from this address."""
    visitor = visitor_of(connection)
    services_of(connection).control.access.failed(method, visitor)
    limit: RateLimit | None = connection.scope["state"]["wrong_keys"]
    if limit is None:
        return
    taken = limit.take(visitor.address or "")
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

        def limited(per_minute: int) -> RateLimit | None:
            return RateLimit(per_minute, clock) if principal is None and per_minute > 0 else None

        self._wrong_keys = limited(services.wrong_keys_per_minute)
        self._requests = limited(services.requests_per_minute)
        self._streams = OpenStreams(0 if principal else services.streams_per_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, connection = scope["state"], HTTPConnection(scope)
        state |= {
            "services": self._services,
            "principal": None,
            "wrong_keys": self._wrong_keys,
            "streams": self._streams,
            "headers": dict(reversed(scope["headers"])),
        }
        if is_encrypted(connection):
            state["fields"].append(HSTS)
        state["principal"] = principal = self._enter(connection, self._access_of(scope))
        if principal is not None:
            if self._requests:
                taken = self._requests.take(principal.session_id or principal.id)
                state["fields"] += self._requests.fields(taken)
                if taken.retry_seconds:
                    raise Refused(RATE_LIMITED, seconds=taken.retry_seconds)
            sessions = self._services.control.access.sessions
            if principal.kind == "session" and scope["type"] == "http" and (token := await sessions.rotated(principal)):
                state["fields"].append((b"set-cookie", session_cookie(connection, token).encode("latin-1")))
        await self._app(scope, receive, send)

    def _enter(self, connection: HTTPConnection, access: Access) -> Principal | None:
        """Who comes in. Raises Refused for whoever may not."""
        if self._principal:
            return self._principal
        host = self._check_host(connection)
        origins = headers_of(connection, b"origin")
        if origins and (len(origins) > 1 or not _is_own(origins[0], host, tls=is_encrypted(connection))):
            raise Refused(ORIGIN_REFUSED)
        if access == "public":
            return None
        principal = self._identify(connection, has_origin=bool(origins))
        if not may(principal.role, access):
            raise Refused(FORBIDDEN, needed=NEEDED[access], role=principal.role)
        return principal

    def _check_host(self, connection: HTTPConnection) -> str:
        hosts = headers_of(connection, b"host")
        if len(hosts) != 1 or _bare(hosts[0]) not in self._hosts:
            raise Refused(HOST_REFUSED, host=", ".join(hosts)[:200] or "(none)")
        return hosts[0]

    def _identify(self, connection: HTTPConnection, *, has_origin: bool) -> Principal:
        access = self._services.control.access
        if key := _key(connection):
            principal = access.by_key(key, visitor_of(connection))
            if principal is None:
                count_wrong_key(connection, "key")
                raise Refused(UNAUTHORIZED)
            return principal
        token = session_token(connection)
        principal = access.by_session(token, visitor_of(connection)) if token else None
        if principal is None:
            raise Refused(UNAUTHORIZED)
        is_safe = connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS
        if not is_safe and not has_origin:
            raise Refused(ORIGIN_REFUSED)
        return principal


def _key(connection: HTTPConnection) -> str | None:
    """The key that a program sends."""
    if key := header_of(connection, b"x-api-key"):
        return key.strip()
    scheme, _, token = (header_of(connection, b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@lru_cache(100)
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
