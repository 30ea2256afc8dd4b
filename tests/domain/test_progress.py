"""Progress on the wire, and gathering it to fewer items."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.progress import GATHERED_CHARACTERS_MAX, PlanItem, Progress, gather
from mission_control.domain.values import Usage


def progress() -> st.SearchStrategy[list[Progress]]:
    texts = st.text(max_size=5)
    calls = st.sampled_from(["a", "b"])
    item = st.one_of(
        texts.map(lambda text: Progress(kind="text", up_to=0, text=text)),
        texts.map(lambda text: Progress(kind="reasoning", up_to=0, text=text)),
        calls.map(lambda id: Progress(kind="tool.started", up_to=0, call_id=id, name="shell", input="{}")),
        st.tuples(calls, texts).map(lambda it: Progress(kind="tool.output", up_to=0, call_id=it[0], output=it[1])),
        calls.map(lambda id: Progress(kind="tool.finished", up_to=0, call_id=id, name="shell")),
        st.just(Progress(kind="usage", up_to=0, usage=Usage(total_tokens=1))),
    )
    return st.lists(item, max_size=12).map(
        lambda items: [msgspec.structs.replace(item, up_to=10 * at) for at, item in enumerate(items, 1)]
    )


def test_only_what_is_known_is_on_the_wire_and_in_camel_case():
    item = Progress(kind="tool.started", up_to=7, call_id="call_1", name="shell", input='{"command":"df"}')
    assert msgspec.json.encode(item) == (
        b'{"kind":"tool.started","upTo":7,"callId":"call_1","name":"shell","input":"{\\"command\\":\\"df\\"}"}'
    )


def test_what_was_written_is_read_back():
    for item in (
        Progress(kind="plan", up_to=3, items=(PlanItem(step="Look"), PlanItem(step="Tell", status="in_progress"))),
        Progress(kind="usage", up_to=3, usage=Usage(prompt_tokens=2, completion_tokens=3, total_tokens=5)),
        Progress(kind="notice", up_to=0, text="Asking again in 2 s."),
    ):
        assert msgspec.json.decode(msgspec.json.encode(item), type=Progress) == item


def test_neighbouring_words_become_one_item_that_covers_them_all():
    words = [Progress(kind="text", up_to=at, text=word) for at, word in ((5, "All"), (9, " is"), (14, " well"))]
    assert gather(words) == [Progress(kind="text", up_to=14, text="All is well")]


def test_text_before_and_after_a_tool_stays_apart():
    before = Progress(kind="text", up_to=1, text="Looking.")
    tool = Progress(kind="tool.started", up_to=2, call_id="1", name="shell", input="{}")
    after = Progress(kind="text", up_to=3, text="Found it.")
    assert gather([before, tool, after]) == [before, tool, after]


def test_what_two_tools_say_at_the_same_time_is_not_mixed():
    said = [Progress(kind="tool.output", up_to=at, call_id=id, output="x") for at, id in ((1, "a"), (2, "b"), (3, "b"))]
    assert gather(said) == [said[0], Progress(kind="tool.output", up_to=3, call_id="b", output="xx")]


def test_a_flood_of_text_is_gathered_to_items_of_bounded_size():
    piece = "x" * (GATHERED_CHARACTERS_MAX // 3)
    gathered = gather(Progress(kind="text", up_to=at, text=piece) for at in range(1, 11))
    assert [len(item.text or "") for item in gathered] == [3 * len(piece)] * 3 + [len(piece)]


@given(progress())
def test_gathering_loses_nothing_and_changes_no_order(items: list[Progress]):
    gathered = gather(items)
    assert [mark for item in gathered for mark in _marks(item)] == [mark for item in items for mark in _marks(item)]
    assert gather(gathered) == gathered
    assert [item.up_to for item in gathered] == sorted(item.up_to for item in gathered)
    if items:
        assert gathered[-1].up_to == items[-1].up_to


def _marks(item: Progress) -> list[tuple[object, ...]]:
    """What an item says, character by character, so that pieces and their join read the same."""
    if item.kind in ("text", "reasoning", "tool.output"):
        return [(item.kind, item.call_id, mark) for mark in (item.output or item.text or "")]
    return [] if item.kind == "usage" else [(item.kind, item.call_id, item.input)]
