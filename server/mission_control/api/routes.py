"""What a route is: one row of the table in `app.py`. Checks, decoding and the API's description follow from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from ..control.principals import Principal
from ..domain import limits
from ..domain.errors import KEY_RESTRICTED, METHOD_NOT_ALLOWED, NOT_FOUND, UPGRADE_REQUIRED, Refusal, Refused
from ..domain.permissions import Permission
from ..log import queries
from .answers import send_answer
from .bodies import Nothing, decode_body, read_body
from .connections import Ended
from .idempotency import Idempotency, Once
from .queries import NoQuery, decode_query
from .services import Services, reach_of, services_of

Access = Permission | Literal["public"]
Method = Literal["GET", "POST", "PATCH", "DELETE", "WEBSOCKET"]

About = Literal["a task", "a desktop", "a batch", "several", "no desktop", "everything"]
"""What a route shows or changes, for a key that reaches only some desktops.

The thing that its `{id}` names is looked at before the handler is called; of several, the handler leaves out or refuses
what is out of reach; a route that is about no desktop is the same for all; one about everything is refused.
"""
_BY_PATH: dict[str, About] = {
    "/api/mission-control/tasks/{id}": "a task",
    "/api/mission-control/batches/{id}": "a batch",
    "/api/desktops/{id}": "a desktop",
}

WITH_BODY = frozenset(("POST", "PATCH"))

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a route answers when all goes well: a JSON value of a type, or text."""

    status: int = 200
    type: Any = None
    media_types: Sequence[str] = ("application/json",)
    headers: Sequence[str] = ()


@dataclass(frozen=True)
class Route:
    """One method of one path. The handler's docstring is its description."""

    method: Method
    path: str
    handler: Callable[[Request], Awaitable[Response]] | Callable[[WebSocket], Awaitable[None]]
    access: Access
    answer: Answer = Answer()
    query: type[Any] = NoQuery
    body: type[Any] = Nothing
    body_bytes_max: int = limits.BODY_BYTES_MAX
    refusals: tuple[Refusal, ...] = ()  # beside those that every route of its kind has
    once: bool = False  # takes an Idempotency-Key
    streams: bool = False  # answers without end: no HEAD
    about: About | None = None  # None: what the path says

    @property
    def concerns(self) -> About:
        """What the route is about, for keys that reach only some desktops; what says nothing is not for them."""
        if self.about is None and "{id}" in self.path:
            for prefix, about in _BY_PATH.items():
                if self.path.startswith(prefix):
                    return about
        return self.about or "everything"


def body_of(request: Request, kind: type[V]) -> V:
    """The request's body, decoded; `kind` is the one that its route names."""
    body = request.scope["state"]["body"]
    assert isinstance(body, kind), "the route table names another body"
    return body


def query_of(request: Request, kind: type[V]) -> V:
    """The request's query parameters, decoded; `kind` is the one that its route names."""
    query = request.scope["state"]["query"]
    assert isinstance(query, kind), "the route table names another query"
    return query


class Routes:
    """Plain ASGI: finds the route and runs it; GET of anything that is not the API's goes to the dashboard."""

    def __init__(self, table: Sequence[Route], dashboard: Callable[[Request], Awaitable[Response]]) -> None:
        self._dashboard = Route("GET", "/{path:path}", dashboard, "public")
        self._once = Idempotency()
        paths: dict[str, dict[str, Route]] = {}
        for route in table:
            methods = paths.setdefault(route.path, {})
            assert route.method not in methods, f"{route.method} {route.path} stands twice in the table"
            methods[route.method] = route
        self._fixed = {path: methods for path, methods in paths.items() if "{" not in path}
        self._patterns = [(compile_path(path)[0], methods) for path, methods in paths.items() if "{" in path]

    def access_of(self, scope: Scope) -> Access:
        """What the scope's route needs; where there is none, whoever asks is told so."""
        try:
            scope["state"]["route"] = found = self._find(scope)
            return found[0].access
        except Refused:
            return "public"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found: tuple[Route, dict[str, str]] | None = scope["state"].get("route")
        route, scope["path_params"] = found or self._find(scope)
        principal: Principal | None = scope["state"]["principal"]
        if principal is not None and principal.labels:
            await _check_reach(route, HTTPConnection(scope))
        if principal is None or not (route.streams or route.method == "WEBSOCKET"):
            await self._serve(route, scope, receive, send)
            return
        with scope["state"]["streams"].held(principal.id):
            await self._serve(route, scope, receive, send)

    async def _serve(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if route.method == "WEBSOCKET":
            scope["state"]["has_begun"] = True  # it is accepted first of all
            await route.handler(WebSocket(scope, receive, send))  # type: ignore[arg-type]
            return
        response = await self._respond(route, Request(scope, receive, send))
        if scope["method"] == "HEAD":
            send = _without_body(send)
        elif type(response) is not Response:
            send = _while_valid(scope, send)
        await send_answer(response, scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Route, dict[str, str]]:
        path = scope["path"]
        if path.startswith("/api/"):
            path = path.removesuffix("/")  # documented as `GET /` below /api/desktops
        if methods := self._fixed.get(path):
            return _choose(methods, scope), {}
        for pattern, methods in self._patterns:
            if found := pattern.match(path):
                return _choose(methods, scope), found.groupdict()
        if scope["type"] == "http" and not is_api(path):
            return _choose({"GET": self._dashboard}, scope), {}
        raise Refused(NOT_FOUND, kind="path", id=path[:200])

    async def _respond(self, route: Route, request: Request) -> Response:
        state = request.scope["state"]
        state["query"] = {} if route is self._dashboard else decode_query(request, route.query)
        if request.method not in WITH_BODY:
            return await _handled(route, request)
        raw = await read_body(request, route.body_bytes_max)
        state["body"] = decode_body(raw, route.body)
        once = self._once.begin(request, raw) if route.once else None
        # An answer to a change shows what it changed: whoever follows from before the change misses nothing.
        log = services_of(request).control.log
        before = log.head
        response = await self._once_only(route, request, once)
        if response.status_code < 300 and route.answer.type is not None:
            state["fields"] += [(b"mission-control-seq", b"%d" % before), (b"mission-control-log", log.log_id.encode())]
        return response

    async def _once_only(self, route: Route, request: Request, once: Once | None) -> Response:
        if once is None:
            return await _handled(route, request)
        state = request.scope["state"]
        try:
            if earlier := await self._once.earlier(request, once):
                return earlier
            state["once"] = once
            response = await _handled(route, request)
            assert once.is_remembered, f"{route.path} must remember its answer"
            return response
        finally:
            self._once.end(once)


async def _check_reach(route: Route, connection: HTTPConnection) -> None:
    """Refuse what a key that is restricted to some desktops does not reach, as if it were not there."""
    if route.access == "public" or route.concerns in ("several", "no desktop"):
        return
    if route.concerns == "everything":
        raise Refused(KEY_RESTRICTED)
    reach, id = reach_of(connection), connection.path_params["id"]
    assert reach is not None, "only a restricted key is checked"
    if route.concerns == "a desktop":
        is_there = id in reach
    else:
        query = queries.desktop_of_task(id) if route.concerns == "a task" else queries.batch_counts([id], reach)
        async with services_of(connection).control.log.snapshot() as snapshot:
            row = await snapshot.row(query.sql, query.parameters)
        is_there = row is not None and (route.concerns == "a batch" or row[0] in reach)
    if not is_there:
        raise Refused(NOT_FOUND, kind=route.concerns.partition(" ")[2], id=id)


def is_api(path: str) -> bool:
    """Whether a path belongs to the API or the operations, and not to the dashboard."""
    return path == "/api" or path.startswith("/api/") or path in ("/healthz", "/readyz", "/metrics", "/openapi.json")


async def _handled(route: Route, request: Request) -> Response:
    response = await route.handler(request)  # type: ignore[arg-type]
    assert response is not None
    return response


def _choose(methods: dict[str, Route], scope: Scope) -> Route:
    if scope["type"] == "websocket":
        if "WEBSOCKET" in methods:
            return methods["WEBSOCKET"]
        raise Refused(NOT_FOUND, kind="WebSocket", id=scope["path"][:200])
    method: str = scope["method"]
    if method in methods and method != "WEBSOCKET":
        return methods[method]
    allowed = [name for name in methods if name != "WEBSOCKET"]
    if "GET" in methods and not methods["GET"].streams:
        allowed.insert(1, "HEAD")
    if not allowed:
        raise Refused(UPGRADE_REQUIRED)
    if method not in allowed:
        raise Refused(METHOD_NOT_ALLOWED, method=method[:20], allowed=", ".join(sorted(allowed)))
    return methods["GET" if method == "HEAD" else method]


def _while_valid(scope: Scope, send: Send) -> Send:
    """What is sent in pieces ends where the key or session does."""
    services: Services = scope["state"]["services"]
    principal: Principal | None = scope["state"]["principal"]

    async def send_on(message: Message) -> None:
        if message.get("more_body") and principal is not None and not services.control.access.is_valid(principal):
            raise Ended
        await send(message)

    return send_on


def _without_body(send: Send) -> Send:
    """An answer to HEAD: the header fields, and nothing after them."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
