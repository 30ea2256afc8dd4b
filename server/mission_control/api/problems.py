"""Every error as RFC 9457 problem details, whatever refused: a rule, the door, the router, or a fault of ours."""

from __future__ import annotations

import secrets
import sqlite3
import traceback

import anyio
import msgspec
import structlog
from msgspec import UNSET, UnsetType
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..domain.errors import INTERNAL_ERROR, LOG_UNAVAILABLE, Refused
from ..domain.values import Value
from ..log.event_log import LogUnavailable
from .answers import send_answer
from .connections import Ended, cut

_logger = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
LEAVE_SECONDS = 0.05  # uvicorn logs a refused upgrade as a fault of ours unless its connection has closed by then


class ProblemField(Value, frozen=True, kw_only=True):
    """What is wrong with one field; `pointer` is a JSON pointer into the body, or `/name` of a query parameter."""

    pointer: str
    message: str


class Problem(Value, frozen=True, kw_only=True):
    """An error. `code` is stable, for scripts; `detail` says what to do, for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[ProblemField, ...] | UnsetType = UNSET


def problem_of(refused: Refused) -> Problem:
    """The problem that a refusal is shown as."""
    refusal = refused.refusal
    errors = tuple(ProblemField(pointer=_text(error.pointer), message=_text(error.message)) for error in refused.errors)
    return Problem(
        type=f"urn:mission-control:problem:{refusal.code}",
        title=refusal.code.replace("_", " ").capitalize(),
        status=refusal.status,
        code=refusal.code,
        detail=_text(refused.detail),
        errors=errors or UNSET,
    )


def _text(text: str) -> str:
    """What came from a peer may hold lone surrogates, which are not text."""
    return text.encode(errors="replace").decode()


def problem_response(refused: Refused) -> Response:
    """The answer that shows a refusal, with the header fields that belong to its status."""
    body = msgspec.json.encode(problem_of(refused))
    return Response(body, refused.refusal.status, _fields_of(refused), media_type=MEDIA_TYPE)


def _fields_of(refused: Refused) -> dict[str, str]:
    match refused.refusal.status:
        case 401:
            return {"WWW-Authenticate": 'Bearer realm="Mission Control"'}
        case 405:
            return {"Allow": str(refused.facts["allowed"])}
        case 426:
            return {"Upgrade": "websocket", "Connection": "Upgrade"}
        case 408 | 413:
            return {"Connection": "close"}  # what is still on its way is not waited for
        case 429:
            return {"Retry-After": str(refused.facts["seconds"])}
        case _:
            return {}


async def send_problem(scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
    """Answer with a refusal, also before a WebSocket is accepted."""
    if scope["type"] == "http":
        await send_answer(problem_response(refused), scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await send_answer(problem_response(refused), scope, receive, send)
        await anyio.sleep(LEAVE_SECONDS)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": refused.code})


class Problems:
    """Plain ASGI: whatever is raised inside becomes a problem, as long as no answer has begun.

    What nobody expected is logged under a number, and the answer shows that number only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state |= {"fields": [], "has_begun": False}
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass
        except Ended:
            await cut(scope, receive)
        except Exception as error:
            refused = _refusal_of(error, scope)
            if state["has_begun"]:
                raise
            await send_problem(scope, receive, send, refused)


def _refusal_of(error: Exception, scope: Scope) -> Refused:
    match error:
        case Refused():
            return error
        case LogUnavailable():
            return Refused(LOG_UNAVAILABLE, reason=str(error))
        case _:
            number = secrets.token_hex(4)
            _logger.error(
                "a request failed",
                request=number,
                method=scope.get("method", "WEBSOCKET"),
                path=scope["path"],
                exception="".join(traceback.format_exception(error)),  # no values of variables: keys are among them
            )
            if isinstance(error, sqlite3.Error):
                return Refused(LOG_UNAVAILABLE, reason=f"its file could not be read (request {number}).")
            return Refused(INTERNAL_ERROR, request=number)
