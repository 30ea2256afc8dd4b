"""The fleet in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Approval, Desktop
from ..domain.permissions import Reach
from ..domain.times import rfc3339
from ..log import queries
from ..log.sqlite import Snapshot
from .answers import answer, shown
from .queries import OverviewQuery
from .routes import query_of
from .services import reach_of, services_of
from .views import AgeCount, Durations, Failing, Hour, Overview, StatusCounts, WaitingApprovals

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
FAILING_MAX = 8
AGES_SECONDS = (0, 10 * 60, 3600, 24 * 3600)  # where the groups of waiting approvals begin


async def read_overview(request: Request) -> Response:
    """The fleet in figures: tasks by status, success, durations, what waits, what fails, and what ended each hour."""
    services, hours_count = services_of(request), query_of(request, OverviewQuery).hours
    now = services.control.journal.now_us()
    first_hour = now - now % HOUR_US - (hours_count - 1) * HOUR_US
    since = rfc3339(now - hours_count * HOUR_US)
    reach = reach_of(request)
    listed, fleet = queries.task_counts(reach), queries.desktops_page(None, -1, removed=False, reach=reach)
    ended, by_hour = queries.ended_since(since, reach), queries.ended_by_hour(rfc3339(first_hour), reach)
    durations, failing = queries.durations_since(since, reach), queries.failing_since(since, FAILING_MAX, reach)
    async with shown(request) as moment:
        counts = dict(await moment.snapshot.rows(listed.sql, listed.parameters))
        endings = dict(await moment.snapshot.rows(ended.sql, ended.parameters))
        hours = await moment.snapshot.rows(by_hour.sql, by_hour.parameters)
        took = [row[0] for row in await moment.snapshot.rows(durations.sql, durations.parameters)]
        failed = await moment.snapshot.rows(failing.sql, failing.parameters)
        waiting = await _waiting(moment.snapshot, now, reach)
        rows = await moment.snapshot.rows(fleet.sql, fleet.parameters)
    desktops = [msgspec.json.decode(row[0], type=Desktop) for row in rows]
    running = [desktop for desktop in desktops if desktop.status == "running"]
    metrics = [found for desktop in running if (found := services.metrics().get(desktop.id))]
    ended_count = sum(endings.values())
    overview = Overview(
        counts=StatusCounts.of(counts),
        completion_rate=endings.get("done", 0) / ended_count if ended_count else None,
        mean_duration_ms=_mean(took),
        durations=_durations(took),
        waiting=waiting,
        failing=tuple(
            Failing(content=content, type=type, count=count, task_id=id, ended_at=at)
            for content, type, count, id, at in failed
        ),
        active_desktops=len(running),
        desktops=len(desktops),
        cpu=_mean(each.cpu for each in metrics),
        memory=_mean(each.memory for each in metrics),
        throughput=_throughput(first_hour, hours_count, hours),
    )
    return answer(overview, headers=moment.headers())


async def _waiting(snapshot: Snapshot, now_us: int, reach: Reach) -> WaitingApprovals:
    """The approvals that wait, in groups by their age."""
    query = queries.waiting_ages([now_us - seconds * SECOND_US for seconds in AGES_SECONDS[1:]], reach)
    row = await snapshot.row(query.sql, query.parameters)
    assert row is not None
    count, oldest, *younger = row
    created_at = None
    if oldest is not None:
        first = queries.approval(oldest)
        found = await snapshot.row(first.sql, first.parameters)
        created_at = msgspec.json.decode(found[0], type=Approval).created_at if found else None
    edges = pairwise((0, *younger, count))
    ends = (*AGES_SECONDS[1:], None)
    ages = tuple(
        AgeCount(from_seconds=start, to_seconds=end, count=older - young)
        for start, end, (young, older) in zip(AGES_SECONDS, ends, edges, strict=True)
    )
    return WaitingApprovals(count=count, oldest_at=created_at, ages=ages)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _durations(ascending: Sequence[int]) -> Durations | None:
    """Percentiles by nearest rank: each is the duration of a task that there was."""
    count = len(ascending)
    if not count:
        return None

    def at(percent: int) -> int:
        return ascending[max(0, -(-count * percent // 100) - 1)]

    mean = sum(ascending) / count
    return Durations(count=count, mean=mean, p50=at(50), p90=at(90), p99=at(99), max=ascending[-1])


def _throughput(first_us: int, hours_count: int, rows: Iterable[tuple[str, str, int]]) -> tuple[Hour, ...]:
    """One entry for every hour, also for those in which nothing ended."""
    counts: dict[str, dict[str, int]] = {}
    for hour, status, count in rows:
        counts.setdefault(hour, {})[status] = count
    starts = [rfc3339(first_us + index * HOUR_US) for index in range(hours_count)]
    return tuple(Hour(hour=start, **counts.get(start[:13], {})) for start in starts)
