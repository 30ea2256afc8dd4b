"""The fleet in figures."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Desktop
from ..domain.times import microseconds, rfc3339
from ..log import queries
from .answers import answer, shown
from .services import reach_of, services_of
from .views import Hour, Overview, StatusCounts

HOUR_US = 3600 * 1_000_000
HOURS = 24


async def read_overview(request: Request) -> Response:
    """The fleet in figures: tasks by status, success and duration over 24 hours, desktops, and what ended each hour."""
    services = services_of(request)
    now = microseconds(services.control.journal.now())
    first_hour = now - now % HOUR_US - (HOURS - 1) * HOUR_US
    reach = reach_of(request)
    listed, ended = queries.task_counts(reach), queries.ended_since(rfc3339(now - HOURS * HOUR_US), reach)
    by_hour = queries.ended_by_hour(rfc3339(first_hour), reach)
    fleet = queries.desktops_page(None, -1, removed=False, reach=reach)
    async with shown(request) as moment:
        counts = dict(await moment.snapshot.rows(listed.sql, listed.parameters))
        endings = await moment.snapshot.rows(ended.sql, ended.parameters)
        hours = await moment.snapshot.rows(by_hour.sql, by_hour.parameters)
        rows = await moment.snapshot.rows(fleet.sql, fleet.parameters)
    desktops = [msgspec.json.decode(row[0], type=Desktop) for row in rows]
    running = [desktop for desktop in desktops if desktop.status == "running"]
    metrics = [found for desktop in running if (found := services.metrics().get(desktop.id))]
    ended_count = sum(count for _, count, _ in endings)
    done_count, mean_ms = next(((count, mean) for status, count, mean in endings if status == "done"), (0, None))
    overview = Overview(
        counts=StatusCounts.of(counts),
        completion_rate=done_count / ended_count if ended_count else None,
        mean_duration_ms=mean_ms,
        active_desktops=len(running),
        desktops=len(desktops),
        cpu=_mean(each.cpu for each in metrics),
        memory=_mean(each.memory for each in metrics),
        throughput=_throughput(first_hour, hours),
    )
    return answer(overview, headers=moment.headers())


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _throughput(first_us: int, rows: Iterable[tuple[str, str, int]]) -> tuple[Hour, ...]:
    """One entry for every hour, also for those in which nothing ended."""
    counts: dict[str, dict[str, int]] = {}
    for hour, status, count in rows:
        counts.setdefault(hour, {})[status] = count
    starts = [rfc3339(first_us + index * HOUR_US) for index in range(HOURS)]
    return tuple(Hour(hour=start, **counts.get(start[:13], {})) for start in starts)
