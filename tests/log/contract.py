"""What any event log promises. An implementation says how it is opened, and has all of these to pass."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_control.domain import limits
from mission_control.domain.events import DesktopAgentReady, Event
from mission_control.domain.filters import Filter
from mission_control.domain.values import SYSTEM
from mission_control.log.event_log import Batch, EventLog, StoredEvent

from .events import changed_settings, note, of_run, of_state, output, text_of

ALL = Filter()


async def everything(log: EventLog, wanted: Filter = ALL, after: int = 0) -> list[StoredEvent]:
    """Read page by page until the head, as every reader does."""
    found: list[StoredEvent] = []
    while True:
        page = await log.read_after(after, wanted)
        assert page.cursor >= after
        assert page.cursor > after or page.cursor == log.head, "a reader gets on, or is at the head"
        found += page.events
        after = page.cursor
        if after == log.head:
            return found


class _Kind(NamedTuple):
    event: Event
    run: str | None


names = st.sampled_from(["a", "b"])
kinds = st.one_of(
    st.builds(lambda task, desktop: _Kind(note("n", task=task, desktop=desktop), None), names, names),
    st.builds(lambda task: _Kind(output("o\n", task=task), task), names),
    st.builds(
        lambda desktop: _Kind(
            DesktopAgentReady(desktop_id=desktop, name="", status="running", version=2, agent_ready=True), None
        ),
        names,
    ),
    st.builds(lambda: _Kind(changed_settings(), None)),
)
some_types = st.frozensets(st.sampled_from(["task.note", "task.output", "desktop.agentReady", "settings.updated"]))
filters = st.builds(Filter, types=some_types | st.none(), task_id=names | st.none(), desktop_id=names | st.none())


class EventLogContract:
    """Mix into a test class that defines `open_log`."""

    def open_log(self, folder: Path) -> AbstractAsyncContextManager[EventLog]:
        raise NotImplementedError

    async def test_a_new_log_is_empty_and_keeps_its_identity(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            assert log.head == 0
            assert await log.read_after(0, ALL) == ([], 0)
            identity = log.log_id
        async with self.open_log(tmp_path) as log:
            assert log.log_id == identity

    async def test_events_are_numbered_from_one_without_gaps_and_an_append_tells_its_last(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            assert await log.append(of_state(note("1"))) == 1
            assert await log.append(of_state(note("2"), note("3"))) == 3
            assert await log.append(of_run("task_1", "4")) == 4
            found = await everything(log)
            assert [(stored.seq, text_of(stored)) for stored in found] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]

    async def test_what_was_appended_is_there_after_a_restart_and_numbering_goes_on(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(note("1"), note("2")))
            before = await everything(log)
        async with self.open_log(tmp_path) as log:
            assert log.head == 2
            assert await everything(log) == before
            assert await log.append(of_state(note("3"))) == 3

    async def test_an_event_is_seen_by_all_or_by_nobody_and_only_when_it_is_durable(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log, anyio.create_task_group() as group:

            async def append() -> None:
                assert await log.append(of_state(note("1"), note("2"), note("3"))) == 3
                assert log.head >= 3

            group.start_soon(append)
            seen: set[int] = set()
            while log.head < 3:
                seen.add(len(await everything(log)))
                await anyio.lowlevel.checkpoint()
            seen.add(len(await everything(log)))
            assert seen <= {0, 3}

    async def test_the_events_of_one_append_are_never_interleaved_with_others(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:

            async def append(who: int) -> None:
                for turn in range(10):
                    name = f"{who}.{turn}"
                    batch = of_state(*[note(name)] * 3) if who % 2 else of_run(f"task_{who}", *[name] * 3)
                    last = await log.append(batch)
                    page = await log.read_after(last - 3, ALL)
                    assert [text_of(stored) for stored in page.events[:3]] == [name] * 3

            async with anyio.create_task_group() as group:
                for who in range(8):
                    group.start_soon(append, who)
            texts = [text_of(stored) for stored in await everything(log)]
            assert len(texts) == 8 * 10 * 3
            assert all(len(set(texts[at : at + 3])) == 1 for at in range(0, len(texts), 3))

    async def test_a_run_and_the_state_keep_the_order_in_which_they_were_given(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log, anyio.create_task_group() as group:
            for number in range(50):  # started in this order, none waits for the one before
                group.start_soon(log.append, of_run("task_a", f"a{number}"))
                group.start_soon(log.append, of_state(note(f"s{number}")))
                group.start_soon(log.append, of_run("task_b", f"b{number}"))
        async with self.open_log(tmp_path) as log:
            texts = [text_of(stored) for stored in await everything(log)]
        for prefix in "asb":
            assert [text for text in texts if text[0] == prefix] == [f"{prefix}{number}" for number in range(50)]

    async def test_cancelling_who_waits_does_not_undo_what_was_given(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            async with anyio.create_task_group() as group:
                group.start_soon(log.append, of_state(note("1")))
                await anyio.lowlevel.checkpoint()  # it was given, and waits
                group.cancel_scope.cancel()
            assert await log.append(of_state(note("2"))) == 2
            assert [text_of(stored) for stored in await everything(log)] == ["1", "2"]

    async def test_what_is_given_just_before_the_end_is_written(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(log.append, of_state(note(str(number))))
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        async with self.open_log(tmp_path) as log:
            assert log.head == 20

    async def test_a_read_is_bounded_in_events(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(*(note(str(number)) for number in range(limits.EVENTS_READ_MAX + 5))))
            page = await log.read_after(0, ALL)
            assert (len(page.events), page.cursor) == (limits.EVENTS_READ_MAX, limits.EVENTS_READ_MAX)
            page = await log.read_after(page.cursor, ALL)
            assert (len(page.events), page.cursor) == (5, log.head)

    async def test_a_read_is_bounded_in_bytes_and_one_event_may_be_larger(self, tmp_path: Path):
        big = limits.EVENTS_READ_BYTES_MAX // 3
        sizes = [10, big, big, big, 10, 4 * big, 10, 10]
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(*(note("x" * size) for size in sizes)))
            at, pages = 0, list[int]()
            while at < log.head:
                page = await log.read_after(at, ALL)
                assert len(page.events) == 1 or sum(e.size for e in page.events) <= limits.EVENTS_READ_BYTES_MAX
                pages.append(len(page.events))
                at = page.cursor
            assert pages == [3, 2, 1, 2], "as much as fits, and no page is empty"

    async def test_a_reader_of_what_is_rare_gets_past_what_it_does_not_want(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(note("first", task="task_rare")))
            for _ in range(3):
                await log.append(of_state(*(note("x") for _ in range(limits.EVENTS_READ_MAX))))
            await log.append(of_state(note("last", task="task_rare")))
            found = await everything(log, Filter(task_id="task_rare"))
            assert [(stored.seq, text_of(stored)) for stored in found] == [(1, "first"), (log.head, "last")]

    async def test_a_reader_at_or_beyond_the_head_gets_nothing_and_stays_where_it_is(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(note("1")))
            assert await log.read_after(1, ALL) == ([], 1)
            assert await log.read_after(7, ALL) == ([], 7)

    async def test_who_waits_is_woken_by_the_next_event(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            await log.append(of_state(note("1")))
            await log.wait_beyond(0)
            woken: list[int] = []

            async def wait(beyond: int) -> None:
                await log.wait_beyond(beyond)
                woken.append(beyond)

            async with anyio.create_task_group() as group:
                for beyond in (1, 1, 2):
                    group.start_soon(wait, beyond)
                await anyio.wait_all_tasks_blocked()
                assert woken == []
                await log.append(of_state(note("2")))
                await anyio.wait_all_tasks_blocked()
                assert woken == [1, 1]
                await log.append(of_state(note("3")))
            assert woken == [1, 1, 2]

    async def test_many_may_stop_waiting(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(log.wait_beyond, 0)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            await log.append(of_state(note("1")))

    async def test_a_reader_that_follows_misses_nothing_while_others_write(self, tmp_path: Path):
        async with self.open_log(tmp_path) as log:

            async def write() -> None:
                for number in range(100):
                    await log.append(of_state(note(str(number))))

            seen: list[StoredEvent] = []
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                at = 0
                while len(seen) < 100:
                    await log.wait_beyond(at)
                    page = await log.read_after(at, ALL)
                    seen += page.events
                    at = page.cursor
            assert [stored.seq for stored in seen] == list(range(1, 101))

    # Several implementations inherit this test: that is the point, and each has examples of its own.
    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(st.lists(kinds, min_size=1, max_size=4), max_size=12), filters, st.integers(0, 40))
    def test_reading_with_any_filter_from_anywhere_gives_what_filtering_everything_gives(
        self, batches: list[list[_Kind]], wanted: Filter, after: int
    ):
        async def check(folder: Path) -> None:
            async with self.open_log(folder) as log:
                for batch in batches:
                    for kind in batch:
                        run = kind.run
                        await log.append(Batch(events=(kind.event,), actor=SYSTEM, run=run, desktop_id=run))
                reference = [
                    stored
                    for stored in await everything(log)
                    if stored.seq > after and wanted.matches(stored.type, stored.task_id, stored.desktop_id)
                ]
                assert len(await everything(log)) == sum(map(len, batches))
                start = min(after, log.head)
                assert await everything(log, wanted, start) == [e for e in reference if e.seq > start]

        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(check(Path(folder)))
