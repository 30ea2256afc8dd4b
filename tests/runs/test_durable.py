"""A run on its way over several links: what is said on each."""

from __future__ import annotations

import anyio

from mission_control.runs.conversation import Conversation, Lost
from mission_control.runs.durable import DurableRun
from mission_control.runs.frames import Frame, FrameReader, Kind
from mission_control.runs.outpost_link import OutpostLink
from mission_control.runs.protocol import Data, Hello, Spec

RUN = b"0123456789abcdef"
HELLO = Hello(
    protocol=1, version="v", superseded=False, instance="i", boot="b", pid=1, python="3", directory="/", system="Linux"
)


class Written(OutpostLink):
    """A link whose other end is this test: what is sent is kept, what is received is given."""

    def __init__(self) -> None:
        super().__init__("nonce", None)
        self.hello = HELLO
        self.sent: list[Frame] = []
        self._finder = None

    def send(self, data: bytes) -> None:
        self.sent += FrameReader().feed(data)

    def give(self, *frames: Frame) -> None:
        for frame in frames:
            self.received(frame.encode(), is_stderr=False)


def output(data: bytes, position: int = 0) -> Frame:
    return Frame(Kind.OUTPUT, RUN, data, 1, position, position)


def new_run(*links: Written, patience_s: float = 60) -> DurableRun:
    waiting = [*links]

    async def outpost() -> OutpostLink:
        return waiting.pop(0)

    conversation = Conversation(RUN, Spec(task="task_1", command="true"), instance="i", boot="b")
    return DurableRun(conversation, outpost, patience_s)


async def received(run: DurableRun, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += b"".join(one.data for one in await run.next() if isinstance(one, Data))
    return data


async def test_on_a_new_link_the_outpost_hears_again_what_the_log_has_since_a_run_at_its_quota_waits_for_it():
    first, second = Written(), Written()
    run = new_run(first, second)
    first.give(output(b"unasked for, so nobody reads it"))
    start = await begun(run, first)
    assert [frame.kind for frame in start] == [Kind.START]
    first.give(output(b"0123456789"))
    assert await received(run, 10) == b"0123456789"
    run.acknowledge(6)
    first.closed("the link is lost")
    said = await begun(run, second)
    assert [(frame.kind, frame.position) for frame in said] == [(Kind.ATTACH, 10), (Kind.ACK, 6)]


async def begun(run: DurableRun, link: Written) -> list[Frame]:
    """What is said first on a link."""
    async with anyio.create_task_group() as group:
        group.start_soon(run.next)
        while not link.sent:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    return link.sent


async def test_a_cancel_is_said_again_on_every_link():
    first, second = Written(), Written()
    run = new_run(first, second)
    await begun(run, first)
    run.cancel()
    first.closed(None)
    assert [frame.kind for frame in await begun(run, second)] == [Kind.ATTACH, Kind.CANCEL]


async def test_what_was_cancelled_while_its_start_was_lost_on_the_way_is_not_started_any_more():
    first, second = Written(), Written()
    run = new_run(first, second)
    await begun(run, first)
    first.closed("the link is lost, and the start with it")
    run.cancel()
    await begun(run, second)
    second.give(Frame(Kind.STATE, RUN, b'{"state": "unknown", "position": 0}'))
    (lost,) = await run.next()
    assert isinstance(lost, Lost) and lost.code == "cancelled"
    assert Kind.START not in [frame.kind for frame in second.sent]


async def test_a_channel_that_says_what_no_outpost_says_is_closed_and_the_run_goes_on_over_the_next():
    first, second = Written(), Written()
    run = new_run(first, second)
    await begun(run, first)
    first.give(Frame(Kind.OUTPUT, RUN, b"x", 9))
    await begun(run, second)
    assert not first.is_open
    second.give(output(b"fine"))
    assert await received(run, 4) == b"fine"


async def test_a_desktop_that_stays_away_is_given_up_when_patience_is_over():
    link = Written()

    async def outpost() -> OutpostLink:
        await anyio.sleep_forever()
        return link

    run = DurableRun(Conversation(RUN, None, instance="i", boot="b"), outpost, patience_s=0)
    (lost,) = await run.next()
    assert isinstance(lost, Lost) and lost.code == "desktop_unreachable"
