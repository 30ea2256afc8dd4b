"""Lists cost what they show: each query walks the index that it names, in order, and sorts nothing it need not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mission_control.domain.filters import BULK_TYPES
from mission_control.log import queries, schema
from mission_control.log.queries import EventFilter, Query, TaskFilter

REACH = frozenset({"desk_1", "desk_2"})

FILTERS = {
    "all": TaskFilter(),
    "one status": TaskFilter(statuses=("done",)),
    "two statuses": TaskFilter(statuses=("done", "failed")),
    "open": TaskFilter(statuses=("pending",), desktop_id="desk_1"),
    "desktop": TaskFilter(desktop_id="desk_1"),
    "desktop and status": TaskFilter(statuses=("done",), desktop_id="desk_1"),
    "batch": TaskFilter(batch_id="batch_1"),
    "everything": TaskFilter(("done",), "desk_1", "command", "batch_1", "web", "deploy"),
    "what is in reach": TaskFilter(reach=REACH),
    "text": TaskFilter(text="deploy", label="web", type="prompt"),
    "the same": TaskFilter(same_as="task_1"),
    "the same in reach": TaskFilter(same_as="task_1", reach=REACH),
    "author": TaskFilter(created_by="key_1"),
    "time": TaskFilter(statuses=("failed",), since_us=1_000, until_us=2_000),
}
ORDERS: tuple[queries.Order, ...] = ("created", "ended", "queue")

NAMED: dict[str, Query] = {
    **{
        f"{kind} {name} by {order}{' after a page' if before else ''}": query
        for name, wanted in FILTERS.items()
        for order in ORDERS
        for before in (None, "task_1")
        for kind, query in (
            ("page of", queries.tasks_page(wanted, order, before, 100)),
            ("total of", queries.tasks_total(wanted, order)),
        )
    },
    "task": queries.task("task_1"),
    "batches": queries.batches_page(None, 100),
    "batches after a page": queries.batches_page("batch_1", 100),
    "number of batches": queries.batches_total(),
    "sorted desktops of a batch": queries.batch_desktops("batch_1"),
    "first tasks of batches": queries.first_of_batches(["batch_1", "batch_2"]),
    "counts of batches": queries.batch_counts(["batch_1", "batch_2"]),
    "tasks of a batch": queries.batch_tasks("batch_1"),
    "pending approvals": queries.approvals_page("pending", "appr_1", 100),
    "approvals": queries.approvals_page(None, "appr_1", 100),
    "number of pending approvals": queries.approvals_total("pending"),
    "desktops": queries.desktops_page("desk_1", 100, removed=False),
    "the past": queries.past_seqs(EventFilter(), 1000, 100),
    "the past of a task": queries.past_seqs(EventFilter(task_id="task_1"), 1000, 100),
    "the past of a desktop": queries.past_seqs(EventFilter(desktop_id="desk_1"), 1000, 100),
    "the output of a task": queries.past_seqs(EventFilter(types=BULK_TYPES, task_id="task_1"), 1000, 100),
    "events of a task": queries.task_events("task_1", None, 0, 100),
    "all events of a task": queries.task_events("task_1", BULK_TYPES, 0, 100),
    "output": queries.output_page("task_1", 0, 1000),
    "output from its end": queries.output_page_back("task_1", 1000),
    "output from a place": queries.output_from("task_1", 0, 1000),
    "output before a place": queries.output_before("task_1", 1000),
    "newest output": queries.newest_output("task_1", 1000),
    "what ended since": queries.ended_since("2026-01-01T00:00:00.000000Z"),
    "sorted durations": queries.durations_since("2026-01-01T00:00:00.000000Z"),
    "sorted failures": queries.failing_since("2026-01-01T00:00:00.000000Z", 8),
    "waiting approvals by age": queries.waiting_ages([1_000, 2_000]),
    "approval": queries.approval("appr_1"),
    "what ended by hour": queries.ended_by_hour("2026-01-01T00:00:00.000000Z"),
    "queue of counts in reach": queries.task_counts(REACH),
    "sorted batches in reach": queries.batches_page(None, 100, REACH),
    "number of batches in reach": queries.batches_total(REACH),
    "counts of batches in reach": queries.batch_counts(["batch_1", "batch_2"], REACH),
    "tasks of a batch in reach": queries.batch_tasks("batch_1", REACH),
    "pending approvals in reach": queries.approvals_page("pending", "appr_1", 100, REACH),
    "desktops in reach": queries.desktops_page("desk_1", 100, removed=False, reach=REACH),
    "the past in reach": queries.past_seqs(EventFilter(reach=REACH), 1000, 100),
    "what ended since in reach": queries.ended_since("2026-01-01T00:00:00.000000Z", REACH),
}

SORTED = {"queue", "batch", "everything", "counts of batches", "what ended", "sorted"}
"""Queries that sort what an index found: bounded by open tasks, one batch, one page, a sample, or some days."""


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """The schema, and nothing in it."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.WHOLE)
    yield connection
    connection.close()


def plan_of(database: sqlite3.Connection, query: Query) -> str:
    rows = database.execute(f"explain query plan {query.sql}", query.parameters).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("name", NAMED)
def test_a_query_walks_the_index_that_it_names(name: str, database: sqlite3.Connection):
    query = NAMED[name]
    plan = plan_of(database, query)
    for index in query.indexes:
        assert f"INDEX {index}" in plan, plan
    for line in plan.splitlines():
        if line.startswith("SCAN"):
            assert not line.startswith("SCAN events") or "INDEX" in line, plan
            assert not line.startswith("SCAN tasks") or "INDEX" in line, plan


@pytest.mark.parametrize("name", NAMED)
def test_a_query_sorts_no_more_than_a_page(name: str, database: sqlite3.Connection):
    plan = plan_of(database, NAMED[name])
    if "TEMP B-TREE" in plan and not any(word in name for word in SORTED):
        assert name.startswith("page of"), plan  # walks that are each cut at the page's limit are merged
        assert plan.count("TEMP B-TREE") == 1, plan


@pytest.mark.parametrize("name", ["total of all by created", "total of one status by created"])
def test_the_usual_totals_count_nothing(name: str, database: sqlite3.Connection):
    plan = plan_of(database, NAMED[name])
    assert "task_counts" in plan
    assert "tasks " not in plan


def test_the_past_walks_the_log_itself_only_for_what_runs_print(database: sqlite3.Connection):
    query = queries.past_seqs(EventFilter(types=BULK_TYPES), 1000, 100)
    assert query.indexes == ()
    assert "SEARCH events USING INTEGER PRIMARY KEY" in plan_of(database, query)
    assert query.parameters[-1] == queries.EVENTS_WALKED_MAX
