"""Tasks."""

from __future__ import annotations

from contextlib import aclosing

import anyio
from msgspec import UNSET
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from ..domain import limits
from ..domain.entities import OPEN, Task
from ..domain.errors import NOT_FOUND, Refused, invalid
from ..domain.filters import Filter
from ..domain.tasks import NewTask, TaskEdit
from ..domain.times import microseconds
from ..log import queries
from ..log.queries import TaskFilter
from ..log.sqlite import Snapshot, SqliteLog
from ..streams.cursor import follow
from ..streams.find import NobodyWaits, Wanted
from ..streams.lines import MARKS, read_page
from .answers import Shown, answer, events_answer, next_url, no_content, shown
from .idempotency import remembering
from .output import OutputReader
from .queries import CancelQuery, EventsQuery, FindQuery, LinesQuery, OutputQuery, TasksQuery, event_types
from .routes import body_of, query_of
from .services import principal_of, reach_of, refuse_beyond, services_of
from .versions import wanted_version
from .views import Review, TaskView

ENDS = frozenset(("task.review", "task.completed", "task.failed", "task.cancelled"))


async def list_tasks(request: Request) -> Response:
    """List tasks, newest first.

    With `order=ended` finished tasks by their end, newest first; with `order=queue` running ones as they were started.
    """
    query = query_of(request, TasksQuery)
    wanted = TaskFilter(
        query.status,
        query.desktop_id,
        query.type,
        query.batch_id,
        query.label,
        query.q,
        query.same_as,
        query.created_by,
        _moment("/since", query.since),
        _moment("/until", query.until),
        reach_of(request),
    )
    if query.order == "queue" and (query.before or query.status not in ((), ("running",))):
        raise invalid("/order", "is queue, which lists running tasks only, without before")
    page = queries.tasks_page(wanted, query.order, query.before, query.limit + 1)
    total = queries.tasks_total(wanted, query.order)
    async with shown(request) as moment:
        rows = await moment.snapshot.rows(page.sql, page.parameters)
        counted = await moment.snapshot.row(total.sql, total.parameters)
    tasks = [TaskView.of_row(row) for row in rows[: query.limit]]
    is_cut = len(rows) > query.limit and query.order != "queue"
    more = next_url(request, before=tasks[-1].id) if is_cut else None
    return answer(tasks, headers=moment.headers(total=counted[0] if counted else 0, next_url=more))


def _moment(pointer: str, time: str | None) -> int | None:
    if time is None:
        return None
    try:
        return max(0, microseconds(time))
    except (ValueError, OverflowError):
        raise invalid(pointer, "is no RFC 3339 time, such as 2026-03-01T12:00:00Z") from None


async def create_task(request: Request) -> Response:
    """Create a task in pending. It starts only when it is run, or at once with `run: true`."""
    services = services_of(request)

    def respond(tasks: list[Task]) -> Response:
        location = f"/api/mission-control/tasks/{tasks[0].id}"
        return answer(TaskView.of(tasks[0]), 201, {"Location": location})

    new, actor = body_of(request, NewTask), principal_of(request).actor
    refuse_beyond(reach_of(request), {"/desktopId": new.desktop_id})
    return respond(await services.control.tasks.create([new], actor, remember=remembering(request, respond)))


async def read_task(request: Request) -> Response:
    """One task, archived or not."""
    async with shown(request) as moment:
        task = await _task(moment.snapshot, request.path_params["id"])
    return answer(task, headers=moment.headers())


async def edit_task(request: Request) -> Response:
    """Edit a pending task. With `If-Match: VERSION`, only if it is still that version."""
    control, id = services_of(request).control, request.path_params["id"]
    changes, version = body_of(request, TaskEdit), wanted_version(request)
    if changes.desktop_id is not UNSET:
        refuse_beyond(reach_of(request), {"/desktopId": changes.desktop_id})
    return answer(TaskView.of(await control.tasks.edit(id, changes, principal_of(request).actor, version=version)))


async def run_task(request: Request) -> Response:
    """Start a pending task now. It queues when its desktop is at maxConcurrentTasks."""

    def respond(task: Task) -> Response:
        return answer(TaskView.of(task))

    control, id = services_of(request).control, request.path_params["id"]
    return respond(await control.tasks.run(id, principal_of(request).actor, remember=remembering(request, respond)))


async def cancel_task(request: Request) -> Response:
    """End a task: at once while it waits, else by asking its desktop. `wait` answers only when it is over."""
    services, id = services_of(request), request.path_params["id"]
    log, wait = services.control.log, query_of(request, CancelQuery).wait
    before = log.head
    task = await services.control.tasks.cancel(id, principal_of(request).actor)
    if task.status in OPEN and wait:
        with anyio.move_on_after(wait):
            await _end_of(log, before, id)
    return answer(await _current(log, id))


async def _end_of(log: SqliteLog, after: int, id: str) -> None:
    async with aclosing(follow(log, after, Filter(types=ENDS, task_id=id))) as steps:
        async for step in steps:
            if step.events:
                return


async def review_task(request: Request) -> Response:
    """Approve or reject a task in review. With `retry`, a rejected one gets a follow-up that carries the feedback."""
    control, id = services_of(request).control, request.path_params["id"]
    recorded = await _current(control.log, id)

    def respond(task: Task) -> Response:
        return answer(TaskView.of(task, recorded.output_bytes, recorded.output_lines))

    review = body_of(request, Review)
    return respond(
        await control.tasks.review(
            id,
            review.decision,
            review.feedback,
            principal_of(request).actor,
            retry=review.retry,
            remember=remembering(request, respond),
        )
    )


async def retry_task(request: Request) -> Response:
    """A new pending task with the same content, linked by `retryOf`."""

    def respond(task: Task) -> Response:
        return answer(TaskView.of(task), 201, {"Location": f"/api/mission-control/tasks/{task.id}"})

    control, id = services_of(request).control, request.path_params["id"]
    return respond(await control.tasks.retry(id, principal_of(request).actor, remember=remembering(request, respond)))


async def archive_task(request: Request) -> Response:
    """Hide a task from lists; the log keeps it. A pending one is cancelled first."""
    await services_of(request).control.tasks.archive(request.path_params["id"], principal_of(request).actor)
    return no_content()


async def task_events(request: Request) -> Response:
    """The history of a task from the log, oldest first; without output and progress unless `types` names them."""
    query, id = query_of(request, EventsQuery), request.path_params["id"]
    page = queries.task_events(id, event_types(query.types), query.after, query.limit)
    async with shown(request) as moment:
        await _task(moment.snapshot, id)
        events = await moment.snapshot.events(page.sql, page.parameters)
    is_whole = len(events) <= query.limit and sum(event.size for event in events) < limits.EVENTS_READ_BYTES_MAX
    events = events[: query.limit]
    more = None if is_whole else next_url(request, after=events[-1].seq)
    return events_answer(request, events, headers=moment.headers(next_url=more))


async def task_output(request: Request) -> Response:
    """What a task wrote, as it was recorded: `text` is byte for byte, `ndjson` are the events that carry it.

    Bytes that are known to be lost are left out of `text`, and are `task.outputGap` in `ndjson`.

    `after` is a position of the run in bytes, over all its streams; `Mission-Control-Position` says where to go on.
    """
    query, id = query_of(request, OutputQuery), request.path_params["id"]
    if query.after is not None and query.tail is not None:
        raise invalid("/tail", "cannot be combined with after")
    async with shown(request) as moment:
        task = await _task(moment.snapshot, id)
    reader = OutputReader(services_of(request).control.log, id, query.stream, until=moment.seq)
    headers = _output_headers(moment, task)
    media_type = "application/x-ndjson" if query.format == "ndjson" else "text/plain; charset=utf-8"
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    start = await reader.start_of(after=query.after, tail=query.tail)
    pieces = reader.lines(start) if query.format == "ndjson" else reader.bytes(start)
    return StreamingResponse(pieces, headers=headers, media_type=media_type)


async def remove_output(request: Request) -> Response:
    """Remove what was recorded of a task's runs: output, progress, an agent's raw answers. Not while it runs.

    That they were stays: their sizes, digests and places in the chain of the log. When this answers, the bytes are gone
    from the database. Pages of lines that a browser was told it may keep, and backups, are not reached.
    """
    services = services_of(request)
    await services.control.tasks.remove_output(request.path_params["id"], principal_of(request).actor)
    services.frames.forget()
    return no_content()


async def task_lines(request: Request) -> Response:
    """Display lines of a task's output, for viewers: one JSON array `[stream, text, ms]` a row.

    `stream` is `o`, `e` or `r` (stdout, stderr, response). A text has its line's `\\n` when it has one, so the texts of
    a stream, joined, are its output; what is not UTF-8 is U+FFFD in them. `ms` is when the line began, in milliseconds
    of the run. Lines are numbered from 0, over all streams in order of arrival. There are fewer rows than asked for at
    the end of the output, and where lines are large: ask on. A page that can never change is answered as immutable when
    `log` names this log.
    """
    query, id = query_of(request, LinesQuery), request.path_params["id"]
    async with shown(request) as moment:
        task = await _task(moment.snapshot, id)
    start, count = query.start, query.count
    if query.tail is not None:
        start, count = max(task.output_lines - query.tail, 0), max(query.tail, 1)
    log = services_of(request).control.log
    page = await read_page(log, id, start, count, until=moment.seq)
    headers = _output_headers(moment, task) | {
        "Mission-Control-Lines": str(task.output_lines),
        "Mission-Control-From": str(page.start),
        "Mission-Control-Style": ", ".join(f"{mark}={page.styles.get(mark, '')}" for mark in MARKS.values()),
    }
    if query.tail is None and query.log == log.log_id and page.lines == count and page.is_closed:
        headers["Cache-Control"] = "private, immutable, max-age=31536000"
    return Response(page.rows, headers=headers, media_type="application/x-ndjson")


async def find_in_output(request: Request) -> Response:
    """Which display lines of a task's output have a text, or match a regular expression; a line counts once.

    Escapes for colour are no part of a line's text. A call works for about two seconds: when `complete` is false, ask
    on with `from=scannedTo`. Of a task that runs, ask on from there later; its last line is looked at once it is whole.
    """
    query, id = query_of(request, FindQuery), request.path_params["id"]
    if "\n" in query.q and not query.regex:
        raise invalid("/q", "has a line break; lines are looked at one by one")
    async with shown(request) as moment:
        task = await _task(moment.snapshot, id)
    services = services_of(request)
    wanted = Wanted(
        text=query.q,
        is_pattern=query.regex,
        case=query.case,
        streams=frozenset(MARKS) if query.stream == "all" else frozenset((query.stream,)),
        start=query.start,
        limit=query.limit,
    )
    log, is_over = services.control.log, task.status != "running"
    try:
        found = await services.finder.find(
            log,
            id,
            wanted,
            until=moment.seq,
            lines=task.output_lines,
            is_over=is_over,
            is_gone=request.is_disconnected,
        )
    except NobodyWaits:
        raise ClientDisconnect from None
    return answer(found, headers=moment.headers())


def _output_headers(moment: Shown, task: TaskView) -> dict[str, str]:
    position = {"Mission-Control-Position": str(task.output_bytes), "Cache-Control": "no-store"}
    removed = {"Mission-Control-Removed": "true"} if task.output_removed_at else {}
    return moment.headers() | position | removed


async def _task(snapshot: Snapshot, id: str) -> TaskView:
    query = queries.task(id)
    row = await snapshot.row(query.sql, query.parameters)
    if row is None:
        raise Refused(NOT_FOUND, kind="task", id=id)
    return TaskView.of_row((row[0], row[1], row[2]))


async def _current(log: SqliteLog, id: str) -> TaskView:
    async with log.snapshot() as snapshot:
        return await _task(snapshot, id)
