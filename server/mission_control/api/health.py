"""For whoever watches the server: is it up, can it work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..domain.errors import LOG_UNAVAILABLE, NOT_READY, SHUTTING_DOWN, Refused
from ..log.heads import head_of
from .answers import answer, shown
from .services import services_of
from .views import Health


async def healthz(request: Request) -> Response:
    """The process is up."""
    return answer(Health())


async def readyz(request: Request) -> Response:
    """The log can be written and tasks can run."""
    services = services_of(request)
    if services.stopping.is_set():
        raise Refused(SHUTTING_DOWN)
    if trouble := services.control.log.trouble:
        raise Refused(LOG_UNAVAILABLE, reason=trouble)
    if not services.is_ready():
        raise Refused(NOT_READY)
    return answer(Health())


async def read_head(request: Request) -> Response:
    """The newest position of the log, and the chain's digest there.

    Noted elsewhere, it shows later whether anything before it was changed: `mission-control log verify --head FILE`.
    """
    async with shown(request) as moment:
        head = await head_of(moment.snapshot, services_of(request).control.log.log_id)
    return answer(head, headers=moment.headers())
