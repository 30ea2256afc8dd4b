"""The past: what happened, newest first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..log.queries import EventFilter, read_past
from .answers import events_answer, next_url, shown
from .queries import ActivityQuery, event_types
from .routes import query_of
from .services import reach_of


async def list_activity(request: Request) -> Response:
    """What happened, newest first; without output and progress unless `types` names them.

    A page looks at a bounded part of the log, so it may be short although `Link` names more.
    """
    query = query_of(request, ActivityQuery)
    wanted = EventFilter(event_types(query.types), query.task_id, query.desktop_id, query.actor, reach_of(request))
    async with shown(request) as moment:
        before = moment.seq + 1 if query.before is None else query.before
        events, rest = await read_past(moment.snapshot, wanted, before, query.limit)
    more = None if rest is None else next_url(request, before=rest)
    return events_answer(request, events, headers=moment.headers(next_url=more))
