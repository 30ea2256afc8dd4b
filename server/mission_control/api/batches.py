"""Batches: tasks that were created together, and what is done to all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..control.tasks import Applied
from ..domain import limits
from ..domain.entities import Task, TaskStatus
from ..domain.errors import NOT_FOUND, FieldError, Refused, invalid, invalid_fields
from ..domain.permissions import Reach
from ..domain.tasks import NewTask
from ..log import queries
from ..log.sqlite import Snapshot
from .answers import answer, next_url, shown
from .idempotency import remembering
from .queries import BatchesQuery
from .routes import body_of, query_of
from .services import principal_of, reach_of, refuse_beyond, services_of
from .views import (
    AppliedView,
    BatchCreated,
    BatchDetail,
    BatchView,
    DesktopCounts,
    NewBatch,
    Skipped,
    StatusCounts,
    TaskView,
)

CONTENT_SHOWN_MAX = 300  # characters of the first task's content; the tasks themselves have the whole


async def list_batches(request: Request) -> Response:
    """List batches, newest first, with how their tasks stand."""
    query = query_of(request, BatchesQuery)
    reach = reach_of(request)
    page, total = queries.batches_page(query.before, query.limit + 1, reach), queries.batches_total(reach)
    async with shown(request) as moment:
        ids = [row[0] for row in await moment.snapshot.rows(page.sql, page.parameters)]
        batches = await _views(moment.snapshot, ids[: query.limit], reach)
        counted = await moment.snapshot.row(total.sql, total.parameters)
    more = next_url(request, before=batches[-1].id) if len(ids) > query.limit else None
    return answer(batches, headers=moment.headers(total=counted[0] if counted else 0, next_url=more))


async def create_batch(request: Request) -> Response:
    """Create several tasks, all or none, in one append: `tasks`, or one `task` for each of `desktopIds`."""
    new = body_of(request, NewBatch)
    tasks = _tasks_of(new)
    at = "/desktopIds/{index}" if new.tasks is None else "/tasks/{index}/desktopId"
    refuse_beyond(reach_of(request), {at.format(index=index): task.desktop_id for index, task in enumerate(tasks)})

    def respond(created: list[Task]) -> Response:
        id = created[0].batch_id
        assert id is not None
        batch = BatchCreated(id=id, tasks=tuple(TaskView.of(task) for task in created))
        return answer(batch, 201, {"Location": f"/api/mission-control/batches/{id}"})

    control, actor = services_of(request).control, principal_of(request).actor
    try:
        return respond(await control.tasks.create(tasks, actor, batch=True, remember=remembering(request, respond)))
    except Refused as refused:
        if new.task is None or not refused.errors:
            raise
        raise invalid_fields(_as_given(refused.errors)) from None


def _tasks_of(new: NewBatch) -> list[NewTask]:
    """The tasks that a batch asks for."""
    if new.tasks is not None:
        if new.task is not None or new.desktop_ids is not None:
            raise invalid("/tasks", "cannot be combined with task and desktopIds")
        tasks, pointer = list(new.tasks), "/tasks"
    elif new.task is not None and new.desktop_ids is not None:
        if new.task.desktop_id:
            raise invalid("/task/desktopId", "stands in desktopIds here")
        if len(set(new.desktop_ids)) != len(new.desktop_ids):
            raise invalid("/desktopIds", "names one desktop twice")
        tasks: list[NewTask] = [msgspec.structs.replace(new.task, desktop_id=id) for id in new.desktop_ids]
        pointer = "/desktopIds"
    else:
        raise invalid("/tasks", "is needed, or task together with desktopIds")
    if not 1 <= len(tasks) <= limits.BATCH_TASKS_MAX:
        raise invalid(pointer, f"has {len(tasks)} entries; 1 to {limits.BATCH_TASKS_MAX} are possible")
    return [msgspec.structs.replace(task, run=True) for task in tasks] if new.run else tasks


def _as_given(errors: Sequence[FieldError]) -> list[FieldError]:
    """Errors of the single tasks, at the fields of `task` and `desktopIds` that they come from, each once."""
    found: dict[FieldError, None] = {}
    for pointer, message in errors:
        _, _, index, field = pointer.split("/", 3)
        there = f"/desktopIds/{index}" if field == "desktopId" else f"/task/{field}"
        found[FieldError(there, message)] = None
    return list(found)


async def read_batch(request: Request) -> Response:
    """One batch: how its tasks stand, in all and on each desktop. `GET /tasks?batchId=` lists them."""
    id: str = request.path_params["id"]
    reach = reach_of(request)
    query = queries.batch_desktops(id, reach)
    async with shown(request) as moment:
        (batch,) = await _views(moment.snapshot, [id], reach)
        rows = await moment.snapshot.rows(query.sql, query.parameters)
    by_desktop: dict[str, dict[TaskStatus, int]] = {}
    for desktop_id, status, count in rows:
        by_desktop.setdefault(desktop_id, {})[status] = count
    desktops = tuple(DesktopCounts(desktop_id=id, counts=StatusCounts.of(counts)) for id, counts in by_desktop.items())
    facts = {name: getattr(batch, name) for name in BatchView.__struct_fields__}
    return answer(BatchDetail(**facts, desktops=desktops), headers=moment.headers())


async def _views(snapshot: Snapshot, ids: list[str], reach: Reach) -> list[BatchView]:
    if not ids:
        return []
    query, firsts = queries.batch_counts(ids, reach), queries.first_of_batches(ids, reach)
    counts: dict[str, dict[TaskStatus, int]] = {id: {} for id in ids}
    for id, status, count in await snapshot.rows(query.sql, query.parameters):
        counts[id][status] = count
    for id, of_batch in counts.items():
        if not of_batch:
            raise Refused(NOT_FOUND, kind="batch", id=id)
    first_docs = dict(await snapshot.rows(firsts.sql, firsts.parameters))
    return [_view(id, by_status, msgspec.json.decode(first_docs[id], type=Task)) for id, by_status in counts.items()]


def _view(id: str, counts: dict[TaskStatus, int], first: Task) -> BatchView:
    return BatchView(
        id=id,
        total=sum(counts.values()),
        counts=StatusCounts.of(counts),
        title=first.title,
        content=first.content[:CONTENT_SHOWN_MAX],
        type=first.type,
        created_at=first.created_at,
        created_by=first.created_by,
    )


async def run_batch(request: Request) -> Response:
    """Start every pending task of a batch; the others are passed over and named."""
    tasks, actor = services_of(request).control.tasks, principal_of(request).actor
    return _applied(await tasks.run_all(await _ids(request), actor, remember=remembering(request, _applied)))


async def cancel_batch(request: Request) -> Response:
    """Cancel every task of a batch that is not over."""
    tasks, actor = services_of(request).control.tasks, principal_of(request).actor
    return _applied(await tasks.cancel_all(await _ids(request), actor))


async def retry_failed(request: Request) -> Response:
    """A new pending task, in the same batch, for every failed or cancelled one that has none yet."""
    tasks, actor = services_of(request).control.tasks, principal_of(request).actor
    return _applied(await tasks.retry_failed(await _ids(request), actor, remember=remembering(request, _applied)))


def _applied(applied: Applied) -> Response:
    skipped = tuple(Skipped(task_id=each["taskId"], code=each["code"]) for each in applied.skipped)
    return answer(AppliedView(applied=tuple(applied.applied), skipped=skipped))


async def _ids(request: Request) -> list[str]:
    """The tasks of a batch. What is decided about each is decided on its newest state."""
    query = queries.batch_tasks(request.path_params["id"], reach_of(request))
    async with services_of(request).control.log.snapshot() as snapshot:
        rows = await snapshot.rows(query.sql, query.parameters)
    if not rows:
        raise Refused(NOT_FOUND, kind="batch", id=request.path_params["id"])
    return [row[0] for row in rows]
