"""What a screen shows of output while it runs."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.events import TaskProgress
from mission_control.domain.output import LINE_BYTES_MAX, OutputCutter
from mission_control.log.event_log import StoredEvent
from mission_control.runs.recorder import output_event
from mission_control.streams.tail import TEXT_CHARACTERS_MAX, Tail


def outputs(*pieces: tuple[str, bytes], seq: int = 1) -> list[StoredEvent]:
    """The events of bytes that arrived in this order, each recorded by itself."""
    cutter = OutputCutter()
    cut = [
        piece
        for ms, (stream, data) in enumerate(pieces)
        for piece in (*cutter.feed(stream, data, ms), *cutter.finish())  # type: ignore[arg-type]
    ]
    bodies = [msgspec.json.encode(output_event("task_1", piece)) for piece in cut]
    return [StoredEvent(at, 0, "task.output", "task_1", None, b"{}", body) for at, body in enumerate(bodies, seq)]


def test_a_tail_has_the_newest_lines_and_says_how_many_there_are():
    tail = Tail("task_1", lines_max=2)
    for event in outputs(("stdout", b"one\ntwo\nthree\n")):
        tail.output(event)
    frame = tail.take()
    assert (frame.text, frame.lines, frame.start, frame.streams, frame.bytes) == ("two\nthree", 3, 1, "oo", 14)


def test_a_line_that_grows_is_shown_whole_in_the_next_tail():
    tail = Tail("task_1")
    first, second = outputs(("stdout", b"50 %"), ("stdout", b" done\n"))
    tail.output(first)
    frame = tail.take()
    assert (frame.text, frame.start, frame.lines, frame.open, frame.ms) == ("50 %", 0, 1, True, 0)
    tail.output(second)
    frame = tail.take()
    assert (frame.text, frame.start, frame.lines, frame.open, frame.ms) == ("50 % done", 0, 1, False, 1)


def test_a_tail_that_nobody_takes_keeps_no_more_than_a_frame_needs():
    tail = Tail("task_1")
    events = outputs(*([("stdout", b"x" * 60_000 + b"\n")] * 50), ("stdout", b"last\n"))
    for event in events:
        tail.output(event)
    assert tail.waiting_bytes <= TEXT_CHARACTERS_MAX + 60_001
    frame = tail.take()
    assert (frame.lines, frame.text[-6:]) == (51, "x\nlast")
    assert len(frame.text) <= TEXT_CHARACTERS_MAX


def test_a_tail_of_a_flood_looks_into_the_newest_only():
    tail = Tail("task_1", lines_max=3)
    for event in outputs(*([("stdout", b"a\nb\n")] * 500)):
        tail.output(event)
        assert len(tail._waiting) <= 3
    frame = tail.take()
    assert (frame.text, frame.start, frame.lines) == ("b\na\nb", 997, 1000)


def test_a_tail_that_is_settled_shows_the_same():
    kept, settled = Tail("task_1", lines_max=4), Tail("task_1", lines_max=4)
    for event in outputs(("stdout", b"one\ntw"), ("stdout", b"o\nthr"), ("stderr", b"e\n"), ("stdout", b"ee\nfour")):
        kept.output(event)
        settled.output(event)
        settled.settle()
    assert kept.take() == settled.take()


def test_a_line_without_an_end_is_cut_in_a_tail_as_in_pages():
    tail = Tail("task_1")
    for event in outputs(("stdout", b"x" * (LINE_BYTES_MAX + 10))):
        tail.output(event)
    frame = tail.take()
    assert (frame.lines, frame.start, frame.text, frame.open) == (2, 1, "x" * 10, True)


def test_an_agents_raw_answer_is_no_line_of_a_tail_but_counts_as_bytes():
    tail = Tail("task_1")
    for event in outputs(("response", b"data: {}\n")):
        tail.output(event)
    assert not tail.is_new
    assert (tail.take().bytes, tail.take().lines) == (9, 0)


def test_stderr_lines_are_marked():
    tail = Tail("task_1")
    for event in outputs(("stdout", b"out\n"), ("stderr", b"err\n"), ("stdout", b"out\n")):
        tail.output(event)
    assert tail.take().streams == "oeo"


def test_an_agents_text_and_tools_are_lines_of_its_tail():
    tail = Tail("task_1")
    for item in (
        TaskProgress(task_id="task_1", kind="text", up_to=1, text="I look"),
        TaskProgress(task_id="task_1", kind="text", up_to=2, text=" around.\n"),
        TaskProgress(task_id="task_1", kind="tool.started", up_to=3, name="shell", input="ls"),
    ):
        tail.progress(item)
    frame = tail.take()
    assert (frame.text, frame.streams, frame.lines) == ("I look around.\n▸ shell ls", "aa", 2)


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("ab\n", max_size=8)), max_size=12), st.data())
def test_tails_however_often_taken_end_with_the_lines_that_were_printed(
    arrivals: list[tuple[str, str]], data: st.DataObject
):
    events = outputs(*[(stream, text.encode()) for stream, text in arrivals])
    shown: dict[int, str] = {}
    tail = Tail("task_1")
    for event in events:
        tail.output(event)
        if data.draw(st.booleans()):
            _show(shown, tail)
    if tail.is_new:
        _show(shown, tail)
    lines: list[str] = []
    last_stream, is_partial = "", False
    for stream, text in arrivals:
        for piece in text.splitlines(keepends=True):
            if is_partial and stream == last_stream:
                lines[-1] += piece
            else:
                lines.append(piece)
            is_partial, last_stream = not piece.endswith("\n"), stream
    assert [shown[number] for number in sorted(shown)] == [line.removesuffix("\n") for line in lines]


def _show(shown: dict[int, str], tail: Tail) -> None:
    frame = tail.take()
    for number, text in enumerate(frame.text.split("\n")) if frame.streams else []:
        shown[frame.start + number] = text
