"""What a screen shows of output while it runs."""

from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.events import TaskOutput, TaskProgress
from mission_control.domain.output import OutputCutter
from mission_control.runs.recorder import output_event
from mission_control.streams.tail import TEXT_CHARACTERS_MAX, Tail


def outputs(*pieces: tuple[str, bytes]) -> list[TaskOutput]:
    """The events of bytes that arrived in this order."""
    cutter = OutputCutter()
    cut = [piece for stream, data in pieces for piece in cutter.feed(stream, data, 0)]  # type: ignore[arg-type]
    return [output_event("task_1", piece) for piece in [*cut, *cutter.finish()]]


def test_a_tail_has_the_newest_lines_and_says_how_many_there_are():
    tail = Tail("task_1", lines_max=2)
    for event in outputs(("stdout", b"one\ntwo\nthree\n")):
        tail.output(event)
    frame = tail.take()
    assert (frame.text, frame.lines, frame.start, frame.streams, frame.bytes) == ("two\nthree", 3, 1, "oo", 14)


def test_a_line_that_grows_is_shown_whole_in_the_next_tail():
    tail = Tail("task_1")
    first = TaskOutput(
        task_id="task_1", stream="stdout", position=0, offset=0, length=4, line=0, ms=0, crc=0, text="50 %"
    )
    tail.output(first)
    assert tail.take().text == "50 %"
    tail.output(
        TaskOutput(
            task_id="task_1", stream="stdout", position=4, offset=4, length=6, line=0, ms=9, crc=0, text=" done\n"
        )
    )
    frame = tail.take()
    assert (frame.text, frame.start, frame.lines) == ("50 % done", 0, 1)


def test_a_tail_that_nobody_takes_keeps_no_more_than_one_frame_holds():
    tail = Tail("task_1")
    for event in outputs(("stdout", (b"x" * 60_000 + b"\n") * 50 + b"last\n")):
        tail.output(event)
    assert sum(len(text) for _, text in tail._newest) <= TEXT_CHARACTERS_MAX
    frame = tail.take()
    assert (frame.lines, frame.text[-6:]) == (51, "x\nlast")


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
    assert tail.take().text == "I look around.\n▸ shell ls"


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
    for event in events:
        for piece in str(event.text).splitlines(keepends=True):
            if is_partial and event.stream == last_stream:
                lines[-1] += piece
            else:
                lines.append(piece)
            is_partial, last_stream = not piece.endswith("\n"), event.stream
    assert [shown[number] for number in sorted(shown)] == [line.removesuffix("\n") for line in lines]


def _show(shown: dict[int, str], tail: Tail) -> None:
    frame = tail.take()
    for number, text in enumerate(frame.text.split("\n")) if frame.streams else []:
        shown[frame.start + number] = text
