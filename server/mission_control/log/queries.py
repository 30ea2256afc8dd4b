"""What lists and pages read, as named queries. Each names its index, so that its cost does not grow with history.

A query says `indexed by`: SQLite then uses that index or refuses, and never walks the table in silence.
`tests/log/test_queries.py` shows the plans. Values are always parameters: only names of ours are in the text.
"""
# ruff: noqa: S608 - see above

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from ..domain import limits
from ..domain.entities import OPEN, STATUSES, TaskStatus
from ..domain.filters import BULK_TYPES, OF_EVERYBODY
from ..domain.ids import first_id
from ..domain.permissions import Reach
from ..domain.times import rfc3339
from .event_log import StoredEvent
from .sqlite import COLUMNS, Snapshot

Order = Literal["created", "ended", "queue"]

ENDED: tuple[TaskStatus, ...] = tuple(status for status in STATUSES if status not in OPEN)
SAMPLED_MAX = 2_000  # tasks whose documents are opened for one figure of the overview
EVENTS_WALKED_MAX = 20_000  # by one page of the past: what is rare and far back is found by the pages after it

NO_BULK = f"type not in ({', '.join(repr(type) for type in sorted(BULK_TYPES))})"


class Query(NamedTuple):
    """SQL with its parameters, and the indexes that it walks."""

    sql: str
    parameters: tuple[object, ...]
    indexes: tuple[str, ...]


class TaskFilter(NamedTuple):
    """Which tasks; all that is given must hold. Archived ones are never listed."""

    statuses: tuple[TaskStatus, ...] = ()
    desktop_id: str | None = None
    type: str | None = None
    batch_id: str | None = None
    label: str | None = None
    text: str | None = None  # in content, title or a label, without regard to case; or the whole id
    same_as: str | None = None  # a task's id: of its type, and their content begins as its does
    created_by: str | None = None  # an actor's id
    since_us: int | None = None  # created, or ended in the order `ended`: from here on
    until_us: int | None = None  # and before here
    reach: Reach = None  # the desktops that the reader sees


class _Where(NamedTuple):
    """Conditions of one walk over one index."""

    by: str
    sql: str
    parameters: tuple[object, ...]


_WORDS = "instr(words, lower(?)) > 0"
_LONG = "is_long and instr(lower(json_extract(cast(doc as text), '$.content')), lower(?)) > 0"
_BEGINNING = "substr(json_extract(cast(doc as text), '$.content'), 1, 300)"  # by which contents are told apart
_LABELLED = "instr(labels, ?) > 0"  # a label as JSON, among labels as JSON


_WITHIN = "{column} in (select value from json_each(?))"


def _listed(reach: frozenset[str]) -> str:
    """Desktops as a parameter of `_WITHIN`."""
    return msgspec.json.encode(sorted(reach)).decode()


def _and_within(reach: Reach, column: str = "desktop_id") -> tuple[str, tuple[str, ...]]:
    """A further condition that leaves out what a reader does not reach, and its parameter; empty for who sees all."""
    return ("", ()) if reach is None else (f" and {_WITHIN.format(column=column)}", (_listed(reach),))


def _searched(wanted: TaskFilter) -> list[tuple[str, tuple[object, ...]]]:
    """Conditions on what a task says, with their parameters: the index `tasks_searched` answers them."""
    found: list[tuple[str, tuple[object, ...]]] = []
    if wanted.type is not None:
        found.append(("type = ?", (wanted.type,)))
    if wanted.label is not None:
        found.append((_LABELLED, (msgspec.json.encode(wanted.label).decode(),)))
    if wanted.text is not None:
        texts = sorted({wanted.text.lower(), wanted.text.upper()})  # SQLite's lower() leaves what is not ASCII alone
        anywhere = [condition for condition in (_WORDS, f"({_LONG})") for _ in texts]
        found.append((f"({' or '.join(anywhere)} or id = ?)", (*texts, *texts, wanted.text)))
    if wanted.same_as is not None:
        within, listed = _and_within(wanted.reach)
        of_it = f"(select {{}} from tasks where id = ?{within})"
        its = (wanted.same_as, *listed)
        # What its words do not have needs no look at its document.
        same = f"instr(words, {of_it.format(f'lower({_BEGINNING})')}) > 0 and {_BEGINNING} = {of_it.format(_BEGINNING)}"
        found.append((f"type = {of_it.format('type')} and {same}", its * 3))
    if wanted.created_by is not None:
        found.append(("created_by = ?", (wanted.created_by,)))
    return found


def _walks(wanted: TaskFilter, order: Order) -> list[_Where]:
    """The walks that together find the tasks: one for each status where the index begins with it."""
    conditions: list[str] = []
    parameters: list[object] = []

    def add(condition: str, *values: object) -> None:
        conditions.append(condition)
        parameters.extend(values)

    if wanted.reach is not None:
        add(_WITHIN.format(column="desktop_id"), _listed(wanted.reach))
    for at_us, comparison in ((wanted.since_us, ">="), (wanted.until_us, "<")):
        if at_us is None:
            continue
        if order == "ended":
            add(f"ended_at {comparison} ?", rfc3339(at_us))
        else:
            add(f"id {comparison} ?", first_id("task", at_us))

    def walk(index: str, *fixed: tuple[str, object]) -> _Where:
        names = tuple(f"{name} = ?" for name, _ in fixed)
        return _Where(index, " and ".join((*names, *conditions)), (*(value for _, value in fixed), *parameters))

    statuses = tuple(dict.fromkeys(wanted.statuses))
    if order == "ended":
        statuses = tuple(status for status in statuses or ENDED if status in ENDED)
        if not statuses:
            return []
    in_statuses = f"status in ({', '.join('?' * len(statuses))})"
    searched = _searched(wanted)
    is_few = wanted.batch_id is not None or bool(statuses and set(statuses) <= OPEN)
    if searched and order == "ended" and not is_few:
        said = " and ".join(condition for condition, _ in searched)
        values = [value for _, some in searched for value in some]
        add(f"id in (select id from tasks indexed by tasks_searched where archived = 0 and {said})", *values)
    else:
        for condition, values in searched:
            add(condition, *values)
    if searched and order != "ended" and not is_few:
        if statuses:
            add(in_statuses, *statuses)
        if wanted.desktop_id is not None:
            add("desktop_id = ?", wanted.desktop_id)
        return [walk("tasks_searched", ("archived", 0))]
    if wanted.batch_id is not None:
        if wanted.desktop_id is not None:
            add("desktop_id = ?", wanted.desktop_id)
        if statuses:
            add(in_statuses, *statuses)
        add("archived = 0")
        return [walk("tasks_by_batch", ("batch_id", wanted.batch_id))]
    if order == "ended":
        if wanted.desktop_id is not None:
            add("desktop_id = ?", wanted.desktop_id)
        return [walk("tasks_by_end", ("archived", 0), ("status", status)) for status in statuses]
    if wanted.desktop_id is not None:
        on_desktop = (("archived", 0), ("desktop_id", wanted.desktop_id))
        return [walk("tasks_by_desktop", *on_desktop, ("status", status)) for status in statuses or STATUSES]
    if statuses:
        return [walk("tasks_by_status", ("archived", 0), ("status", status)) for status in statuses]
    return [walk("tasks_listed", ("archived", 0))]


def tasks_page(wanted: TaskFilter, order: Order, before: str | None, limit: int) -> Query:
    """`doc, bytes, lines` of tasks: newest first by `created` or `ended`; by `queue` in the order they were started.

    `before` is the id of a task: those that come after it in the list.
    """
    if order == "queue":
        return _queue(wanted, limit)
    sort = "ended_at desc, id desc" if order == "ended" else "id desc"
    walks = _walks(wanted, order)
    parts: list[str] = []
    parameters: list[object] = []
    for walk in walks:
        where = walk.sql
        parameters += walk.parameters
        if before is not None and order == "ended":
            where += " and (ended_at, id) < ((select ended_at from tasks where id = ?), ?)"
            parameters += [before, before]
        elif before is not None:
            where += " and id < ?"
            parameters.append(before)
        parts.append(f"select id, ended_at, doc from tasks indexed by {walk.by} where {where} order by {sort} limit ?")
        parameters.append(limit)
    found = " union all ".join(f"select * from ({part})" for part in parts)
    if not parts:
        found, parameters = "select null as id, null as ended_at, null as doc where false", []
    return Query(
        f"select listed.doc, bytes, lines from ({found}) as listed left join runs on task_id = id"
        f" order by {sort} limit ?",
        (*parameters, limit),
        _indexes(walks),
    )


def _queue(wanted: TaskFilter, limit: int) -> Query:
    """Running tasks in the order in which they were started; there are never more than are open."""
    (walk,) = _walks(wanted._replace(statuses=("running",)), "created")
    return Query(
        f"select listed.doc, bytes, lines from (select id, doc from tasks indexed by {walk.by} where {walk.sql})"
        " as listed left join runs on task_id = id"
        " order by json_extract(cast(listed.doc as text), '$.startedAt'), id limit ?",
        (*walk.parameters, limit),
        (walk.by,),
    )


def _indexes(walks: Sequence[_Where]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(walk.by for walk in walks))


def tasks_total(wanted: TaskFilter, order: Order) -> Query:
    """How many tasks the whole list has: from the counters where they know, else along the index."""
    statuses = ("running",) if order == "queue" else wanted.statuses
    if order == "ended":
        statuses = tuple(status for status in statuses or ENDED if status in ENDED)
    if wanted._replace(statuses=()) == TaskFilter():
        some = f" where status in ({', '.join('?' * len(statuses))})" if statuses or order == "ended" else ""
        return Query(f"select coalesce(sum(count), 0) from task_counts{some}", tuple(statuses), ())
    # Ends are only in the index of ends; else the narrower index of the other orders counts as well.
    by = "ended" if order == "ended" and (wanted.since_us, wanted.until_us) != (None, None) else "created"
    walks = _walks(wanted._replace(statuses=statuses), by) if statuses or order != "ended" else []
    counts = [f"(select count(*) from tasks indexed by {walk.by} where {walk.sql})" for walk in walks]
    parameters = tuple(value for walk in walks for value in walk.parameters)
    return Query(f"select {' + '.join(counts) or '0'}", parameters, _indexes(walks))


def task(id: str) -> Query:
    """`doc, bytes, lines` of one task."""
    sql = "select tasks.doc, bytes, lines from tasks left join runs on task_id = id where id = ?"
    return Query(sql, (id,), ("sqlite_autoindex_tasks_1",))


def task_counts(reach: Reach) -> Query:
    """`status, count` of the listed tasks: from the counters, or along the index of the desktops that are reached."""
    if reach is None:
        return Query("select status, count from task_counts", (), ())
    return Query(
        "select status, count(*) from tasks indexed by tasks_by_desktop"
        f" where archived = 0 and {_WITHIN.format(column='desktop_id')} group by status",
        (_listed(reach),),
        ("tasks_by_desktop",),
    )


def desktop_of_task(id: str) -> Query:
    """`desktop_id` of one task."""
    return Query("select desktop_id from tasks where id = ?", (id,), ("sqlite_autoindex_tasks_1",))


def batches_page(before: str | None, limit: int, reach: Reach = None) -> Query:
    """The ids of batches, newest first, found by jumping from one to the next; with tasks on the desktops reached."""
    if reach is not None:
        within, listed = _and_within(reach)
        return Query(
            "select distinct batch_id from tasks indexed by tasks_by_batch where batch_id is not null"
            f" and batch_id < ?{within} order by batch_id desc limit ?",
            (before if before is not None else "~", *listed, limit),
            ("tasks_by_batch",),
        )
    newest = "select max(batch_id) as id from tasks indexed by tasks_by_batch where batch_id is not null"
    return Query(
        f"with recursive batches (id) as ({newest}{' and batch_id < ?' if before is not None else ''}"
        " union all select (select max(batch_id) from tasks indexed by tasks_by_batch"
        " where batch_id is not null and batch_id < batches.id)"
        " from batches where id is not null limit ?) select id from batches where id is not null",
        (*(() if before is None else (before,)), limit + 1),
        ("tasks_by_batch",),
    )


def batches_total(reach: Reach = None) -> Query:
    """How many batches the whole list has."""
    within, listed = _and_within(reach)
    return Query(
        "select count(distinct batch_id) from tasks indexed by tasks_by_batch where batch_id is not null" + within,
        listed,
        ("tasks_by_batch",),
    )


def batch_counts(ids: Sequence[str], reach: Reach = None) -> Query:
    """`batch_id, status, count` of the tasks of batches, archived ones included."""
    some, (within, listed) = ", ".join("?" * len(ids)), _and_within(reach)
    return Query(
        "select batch_id, status, count(*) from tasks indexed by tasks_by_batch"
        f" where batch_id is not null and batch_id in ({some}){within} group by batch_id, status",
        (*ids, *listed),
        ("tasks_by_batch",),
    )


def batch_desktops(id: str, reach: Reach = None) -> Query:
    """`desktop_id, status, count` of the tasks of a batch, archived ones included."""
    within, listed = _and_within(reach)
    return Query(
        "select desktop_id, status, count(*) from tasks indexed by tasks_by_batch"
        f" where batch_id = ?{within} group by desktop_id, status",
        (id, *listed),
        ("tasks_by_batch",),
    )


def first_of_batches(ids: Sequence[str], reach: Reach = None) -> Query:
    """`batch_id, doc` of the first task of each batch."""
    within, listed = _and_within(reach)
    first = f"(select min(id) from tasks indexed by tasks_by_batch where batch_id = wanted.value{within})"
    return Query(
        f"select wanted.value, doc from json_each(?) as wanted join tasks on tasks.id = {first}",
        (msgspec.json.encode(ids).decode(), *listed),
        ("tasks_by_batch",),
    )


def batch_tasks(id: str, reach: Reach = None) -> Query:
    """`id, status` of the tasks of a batch, in the order of the batch, archived ones left out."""
    within, listed = _and_within(reach)
    return Query(
        "select id, status from tasks indexed by tasks_by_batch"
        f" where batch_id = ? and archived = 0{within} order by id",
        (id, *listed),
        ("tasks_by_batch",),
    )


_DESKTOP_OF_DOC = "json_extract(cast(doc as text), '$.desktopId')"


def approvals_page(status: str | None, before: str | None, limit: int, reach: Reach = None) -> Query:
    """Approvals, newest first."""
    within = _WITHIN.format(column=_DESKTOP_OF_DOC)
    conditions = [("status = ?", status), ("id < ?", before), (within, None if reach is None else _listed(reach))]
    given = [(condition, value) for condition, value in conditions if value is not None]
    where = f" where {' and '.join(condition for condition, _ in given)}" if given else ""
    index = "approvals_by_status" if status is not None else "sqlite_autoindex_approvals_1"
    return Query(
        f"select doc from approvals indexed by {index}{where} order by id desc limit ?",
        (*(value for _, value in given), limit),
        (index,),
    )


def approvals_total(status: str | None, reach: Reach = None) -> Query:
    """How many approvals the whole list has."""
    within, listed = _and_within(reach, _DESKTOP_OF_DOC)
    if status is None:
        return Query(f"select count(*) from approvals where true{within}", listed, ())
    sql = f"select count(*) from approvals where status = ?{within}"
    return Query(sql, (status, *listed), ("approvals_by_status",))


class EventFilter(NamedTuple):
    """Which past events; all that is given must hold. Without types, what runs produce in bulk is left out."""

    types: frozenset[str] | None = None
    task_id: str | None = None
    desktop_id: str | None = None
    actor: str | None = None
    reach: Reach = None


def desktops_page(before: str | None, limit: int, *, removed: bool, reach: Reach = None) -> Query:
    """Desktops, newest first; removed ones too if wanted. A fleet is small beside its history: it is walked by id."""
    within, listed = _and_within(reach, "id")
    return Query(
        f"select doc from desktops where removed <= ? and id < ?{within} order by id desc limit ?",
        (removed, before if before is not None else "~", *listed, limit),  # "~" sorts after every id
        ("sqlite_autoindex_desktops_1",),
    )


def desktops_total(*, removed: bool, reach: Reach = None) -> Query:
    """How many desktops the whole list has."""
    within, listed = _and_within(reach, "id")
    return Query(f"select count(*) from desktops where removed <= ?{within}", (removed, *listed), ())


def past_seqs(wanted: EventFilter, before: int, limit: int) -> Query:
    """`seq, matches` of the newest events before a position, matching ones or not.

    So a rare event far back costs a page that is short, never a walk over all history.
    """
    conditions, values = _matching(wanted)
    where, parameters, index = _events_walk(wanted)
    return Query(
        f"select seq, {' and '.join(conditions) or 'true'} from events{index and f' indexed by {index}'}"
        f" where {where} and seq < ? order by seq desc limit ?",
        (*values, *parameters, before, EVENTS_WALKED_MAX if conditions else limit + 1),
        (index,) if index else (),
    )


async def read_past(
    snapshot: Snapshot, wanted: EventFilter, before: int, limit: int
) -> tuple[list[StoredEvent], int | None]:
    """The newest events before a position that match, newest first, and the position to go on before, if any.

    At most 1 MiB of them, and of a bounded number of events that were looked at: a page may be short or empty.
    """
    query = past_seqs(wanted, before, limit)
    looked_at = await snapshot.rows(query.sql, query.parameters)
    found = [seq for seq, matches in looked_at if matches]
    page = found[:limit]
    sql = f"select {COLUMNS} from events where seq in ({', '.join('?' * len(page))}) order by seq desc"
    events = await snapshot.events(sql, page)
    if len(events) < len(found):
        return events, events[-1].seq
    is_cut = len(looked_at) == query.parameters[-1]
    return events, looked_at[-1][0] if is_cut else None


def task_events(task_id: str, types: frozenset[str] | None, after: int, limit: int) -> Query:
    """The events of a task after a position, oldest first; without output and progress unless `types` has them."""
    where, parameters, index = _events_walk(EventFilter(types=types, task_id=task_id))
    some = f" and type in ({', '.join('?' * len(types))})" if types is not None else ""
    return Query(
        f"select {COLUMNS} from events indexed by {index} where {where}{some} and seq > ? order by seq limit ?",
        (*parameters, *sorted(types or ()), after, limit + 1),
        (index,),
    )


def output_page(task_id: str, after: int, until: int) -> Query:
    """The `task.output` and `task.outputGap` events of a task after one seq up to another, oldest first."""
    return Query(
        f"select {COLUMNS} from events indexed by events_by_task"
        " where task_id = ? and seq > ? and seq <= ? and type in ('task.output', 'task.outputGap')"
        " order by seq limit ?",
        (task_id, after, until, limits.EVENTS_READ_MAX),
        ("events_by_task",),
    )


def output_page_back(task_id: str, before: int, limit: int = limits.EVENTS_READ_MAX) -> Query:
    """The `task.output` events of a task before a seq, newest first."""
    return Query(
        f"select {COLUMNS} from events indexed by events_by_task"
        " where task_id = ? and seq < ? and type = 'task.output' order by seq desc limit ?",
        (task_id, before, limit),
        ("events_by_task",),
    )


class Place(NamedTuple):
    """An event of output: bytes of the run before it and in it, and display lines before it."""

    seq: int
    position: int
    length: int
    line: int


_HEAD_BYTES = 300  # of a payload: its numbers stand before its text, which is long
_NUMBERS = re.compile(rb'"position":(\d+),.*?"length":(\d+),"line":(\d+)')


def output_from(task_id: str, seq: int, until: int) -> Query:
    """`seq, beginning of the payload` of the first `task.output` event of a task from a seq on."""
    return Query(
        "select seq, substr(body, 1, ?) from events indexed by events_by_task"
        " where task_id = ? and seq >= ? and seq <= ? and type = 'task.output' order by seq limit 1",
        (_HEAD_BYTES, task_id, seq, until),
        ("events_by_task",),
    )


def output_before(task_id: str, seq: int) -> Query:
    """`seq, beginning of the payload` of the last `task.output` event of a task before a seq."""
    return Query(
        "select seq, substr(body, 1, ?) from events indexed by events_by_task"
        " where task_id = ? and seq < ? and type = 'task.output' order by seq desc limit 1",
        (_HEAD_BYTES, task_id, seq),
        ("events_by_task",),
    )


async def last_output(snapshot: Snapshot, task_id: str, until: int, is_before: Callable[[Place], bool]) -> Place | None:
    """The last event of a task's output, up to a seq, of which `is_before` is true; None when there is none.

    Positions and lines grow with seq, so it is found by halving the log: a few reads by index, however much there is.
    Events whose bytes were removed are passed over.
    """
    low, high = 0, until + 1  # the first event of which it is not true is at a seq in low..high
    while low < high:
        middle = (low + high) // 2
        query = output_from(task_id, middle, until)
        row = await snapshot.row(query.sql, query.parameters)
        if row is None or not ((place := place_of(*row)) is None or is_before(place)):
            high = middle
        else:
            low = row[0] + 1
    query = output_before(task_id, low)
    row = await snapshot.row(query.sql, query.parameters)
    return None if row is None else place_of(*row)


def place_of(seq: int, body: bytes | None) -> Place | None:
    """What a payload of output, or its beginning, says of its place; None where the payload was removed."""
    numbers = None if body is None else _NUMBERS.search(body, 0, _HEAD_BYTES)
    return Place(seq, int(numbers[1]), int(numbers[2]), int(numbers[3])) if numbers else None


def ended_since(since: str, reach: Reach = None) -> Query:
    """`status, count` of the tasks that ended since a time, archived ones included."""
    within, listed = _and_within(reach)
    return Query(
        "select status, count(*) from tasks indexed by tasks_by_end where archived in (0, 1)"
        f" and status in ('done', 'failed', 'cancelled') and ended_at >= ?{within} group by status",
        (since, *listed),
        ("tasks_by_end",),
    )


def durations_since(since: str, reach: Reach = None) -> Query:
    """How long (ms) the newest tasks that are done since a time ran, shortest first; at most `SAMPLED_MAX`."""
    newest, parameters = _newest_ended("done", since, reach)
    return Query(
        f"select json_extract(cast(doc as text), '$.durationMs') as ms from ({newest})"
        " where ms is not null order by ms",
        parameters,
        ("tasks_by_end",),
    )


def failing_since(since: str, limit: int, reach: Reach = None) -> Query:
    """`content (its beginning), type, count, newest id, its end` of what failed most often since a time.

    Of at most the newest `SAMPLED_MAX` failures: what fails now is of interest, and the cost does not grow.
    """
    newest, parameters = _newest_ended("failed", since, reach)
    return Query(
        f"select {_BEGINNING}, type, count(*), max(id), max(ended_at) from ({newest})"
        " group by 1, 2 order by 3 desc, 5 desc limit ?",
        (*parameters, limit),
        ("tasks_by_end",),
    )


def _newest_ended(status: TaskStatus, since: str, reach: Reach) -> tuple[str, tuple[object, ...]]:
    """`id, type, ended_at, doc` of the newest tasks that ended so since a time, archived ones included."""
    within, listed = _and_within(reach)
    part = (
        "select * from (select id, type, ended_at, doc from tasks indexed by tasks_by_end"
        f" where archived = {{}} and status = ? and ended_at >= ?{within} order by ended_at desc, id desc limit ?)"
    )
    both = f"{part.format(0)} union all {part.format(1)}"
    walk = (status, since, *listed, SAMPLED_MAX)
    return f"select * from ({both}) order by ended_at desc, id desc limit ?", (*walk, *walk, SAMPLED_MAX)


def waiting_ages(bounds_us: Sequence[int], reach: Reach = None) -> Query:
    """How many approvals are pending, the id of the oldest, and how many were created since each of some times."""
    younger = "".join(", coalesce(sum(id >= ?), 0)" for _ in bounds_us)
    within, listed = _and_within(reach, _DESKTOP_OF_DOC)
    return Query(
        f"select count(*), min(id){younger} from approvals indexed by approvals_by_status"
        f" where status = 'pending'{within}",
        (*(first_id("appr", at_us) for at_us in bounds_us), *listed),
        ("approvals_by_status",),
    )


def approval(id: str) -> Query:
    """`doc` of one approval."""
    return Query("select doc from approvals where id = ?", (id,), ("sqlite_autoindex_approvals_1",))


def ended_by_hour(since: str, reach: Reach = None) -> Query:
    """`hour (as 2026-03-01T12), status, count` of the tasks that ended since a time, archived ones included."""
    within, listed = _and_within(reach)
    return Query(
        "select substr(ended_at, 1, 13), status, count(*) from tasks indexed by tasks_by_end where archived in (0, 1)"
        f" and status in ('done', 'failed', 'cancelled') and ended_at >= ?{within} group by 1, 2",
        (since, *listed),
        ("tasks_by_end",),
    )


def _matching(wanted: EventFilter) -> tuple[list[str], list[object]]:
    """The conditions that no index answers."""
    conditions: list[str] = []
    values: list[object] = []
    if wanted.types is not None:
        conditions.append(f"type in ({', '.join('?' * len(wanted.types))})")
        values += sorted(wanted.types)
    if wanted.desktop_id is not None:
        conditions.append("coalesce(desktop_id = ?, 0)")
        values.append(wanted.desktop_id)
    if wanted.reach is not None:
        everybodys = ", ".join(repr(type) for type in sorted(OF_EVERYBODY))
        conditions.append(f"(coalesce({_WITHIN.format(column='desktop_id')}, 0) or type in ({everybodys}))")
        values.append(_listed(wanted.reach))
    if wanted.actor is not None:
        conditions.append("json_extract(actor, '$.id') = ?")
        values.append(wanted.actor)
    return conditions, values


def _events_walk(wanted: EventFilter) -> tuple[str, tuple[object, ...], str]:
    """Condition, parameters and index of the walk; no index is the log in its own order."""
    has_bulk = wanted.types is not None and not BULK_TYPES.isdisjoint(wanted.types)
    if wanted.task_id is not None:
        if has_bulk:
            return "task_id = ?", (wanted.task_id,), "events_by_task"
        return f"task_id = ? and {NO_BULK}", (wanted.task_id,), "events_state_by_task"
    if has_bulk:
        return "true", (), ""
    if wanted.desktop_id is not None:
        return f"desktop_id = ? and {NO_BULK}", (wanted.desktop_id,), "events_state_by_desktop"
    return NO_BULK, (), "events_state"


def newest_output(task_id: str, until: int) -> Query:
    """The last pieces of a run's output and progress, newest first: enough to show its last line."""
    return Query(
        f"select {COLUMNS} from events indexed by events_by_task where task_id = ? and seq <= ?"
        " and type in ('task.output', 'task.progress') order by seq desc limit 3",
        (task_id, until),
        ("events_by_task",),
    )
