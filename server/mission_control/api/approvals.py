"""Approvals: finished tasks that wait for a person's decision."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Approval
from ..log import queries
from .answers import answer, next_url, shown
from .queries import ApprovalsQuery
from .routes import query_of
from .services import reach_of


async def list_approvals(request: Request) -> Response:
    """List the approvals that wait for a decision, newest first; `status=all` lists decided ones too."""
    query = query_of(request, ApprovalsQuery)
    status = None if query.status == "all" else query.status
    reach = reach_of(request)
    page = queries.approvals_page(status, query.before, query.limit + 1, reach)
    total = queries.approvals_total(status, reach)
    async with shown(request) as moment:
        rows = await moment.snapshot.rows(page.sql, page.parameters)
        counted = await moment.snapshot.row(total.sql, total.parameters)
    approvals = [json.decode(row[0], type=Approval) for row in rows[: query.limit]]
    more = next_url(request, before=approvals[-1].id) if len(rows) > query.limit else None
    return answer(approvals, headers=moment.headers(total=counted[0] if counted else 0, next_url=more))
