"""The decoder of server-sent events: the specification's own examples, the limits, and any split of the bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mission_control.runs.sse import SseDecoder, SseEvent


def decode(*reads: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    events = [event for read in reads for event in decoder.feed(read)]
    assert decoder.error is None
    return events


def data_of(*reads: bytes) -> list[str]:
    return [event.data for event in decode(*reads)]


def test_an_event_tells_where_the_next_one_begins():
    first, second = b"data: one\n\n", b"event: note\ndata: two\n\n"
    assert decode(first + second) == [
        SseEvent("message", "one", "", len(first)),
        SseEvent("note", "two", "", len(first + second)),
    ]


def test_several_data_lines_are_one_text_of_several_lines():
    assert data_of(b"data: YHOO\ndata: +2\ndata: 10\n\n") == ["YHOO\n+2\n10"]


def test_the_space_after_the_colon_is_optional_and_only_one_is_dropped():
    assert data_of(b"data:test\n\ndata: test\n\ndata:  test\n\n") == ["test", "test", " test"]


def test_empty_data_is_an_event_and_no_data_is_none():
    assert data_of(b"data\n\ndata\ndata\n\nevent: nothing\n\ndata:") == ["", "\n"]


def test_a_type_belongs_to_its_own_event_only():
    assert [event.type for event in decode(b"event: add\ndata: 1\n\ndata: 2\n\nevent: gone\n\ndata: 3\n\n")] == [
        "add",
        "message",
        "message",
    ]


def test_an_id_stays_until_another_comes_and_a_nul_in_it_is_ignored():
    assert [event.id for event in decode(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n")] == [
        "1",
        "1",
        "1",
        "",
    ]


def test_retry_counts_only_if_it_is_a_number():
    decoder = SseDecoder()
    decoder.feed(b"retry: soon\n")
    assert decoder.retry_ms is None
    decoder.feed(b"retry: 2500\n")
    assert decoder.retry_ms == 2500


def test_comments_and_unknown_fields_are_no_events():
    assert data_of(b": OPENROUTER PROCESSING\n\n:\n\nfoo: bar\n\ndata: x\n\n") == ["x"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_all_three_line_ends_work(end: bytes):
    assert data_of(b"data: a" + end + b"data: b" + end + end + b"data: c" + end + end) == ["a\nb", "c"]


def test_an_event_is_given_out_at_the_carriage_return_and_not_when_the_next_byte_comes():
    decoder = SseDecoder()
    assert [event.data for event in decoder.feed(b"data: now\r\n\r")] == ["now"]
    assert decoder.feed(b"\n") == []
    assert [event.data for event in decoder.feed(b"data: then\r\n\r\n")] == ["then"]


def test_a_byte_order_mark_is_skipped_once_and_counted():
    stream = b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"
    assert decode(stream) == [SseEvent("message", "a", "", 12)]


def test_a_character_cut_in_two_reads_is_whole():
    stream = "data: Grüße 🚀\n\n".encode()
    for cut in range(len(stream)):
        assert data_of(stream[:cut], stream[cut:]) == ["Grüße 🚀"]


def test_an_event_without_its_blank_line_is_not_dispatched_but_can_be_asked_for():
    for stream in (b"data: whole", b"data: whole\n", b"data: whole\r"):
        decoder = SseDecoder()
        assert decoder.feed(stream) == []
        assert decoder.event_is_open
        assert decoder.finish() == SseEvent("message", "whole", "", len(stream))


def test_nothing_is_left_after_a_proper_end():
    decoder = SseDecoder()
    decoder.feed(b"data: x\n\n")
    assert not decoder.event_is_open
    assert decoder.finish() is None


def test_bytes_that_are_not_utf8_are_an_error_after_the_events_before_them():
    decoder = SseDecoder()
    assert [event.data for event in decoder.feed(b"data: good\n\ndata: \xff\n\ndata: late\n\n")] == ["good"]
    assert decoder.error == "invalid_utf8"
    assert decoder.feed(b"data: later\n\n") == []


def test_a_line_that_never_ends_costs_bounded_memory():
    decoder = SseDecoder(line_bytes_max=100)
    decoder.feed(b"data: " + b"x" * 94)
    assert decoder.error is None
    decoder.feed(b"x")
    assert decoder.error == "line_too_long"


def test_an_event_that_never_ends_costs_bounded_memory():
    decoder = SseDecoder(line_bytes_max=100, event_bytes_max=200)
    assert decoder.feed((b"data: " + b"x" * 44 + b"\n") * 4 + b"\n")
    decoder.feed((b"data: " + b"x" * 44 + b"\n") * 5)
    assert decoder.error == "event_too_large"


def lines() -> st.SearchStrategy[bytes]:
    text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6)
    fields = st.sampled_from(["data", "event", "id", "retry", "", "other"])
    parts = st.tuples(fields, st.sampled_from([":", ": "]), text)
    line = st.one_of(parts.map("".join), st.sampled_from(["", "", "data", "retry: 5"]))
    raw = st.one_of(line.map(str.encode), st.just(b"data: \xff"), st.binary(max_size=4))
    return st.tuples(raw, st.sampled_from([b"\n", b"\r", b"\r\n"])).map(b"".join)


@given(st.lists(lines(), max_size=12).map(b"".join), st.data())
@example(b"\xef\xbb\xbfdata: x\r\n\r\n", None)
def test_any_split_of_the_bytes_gives_the_same_events_and_the_same_error(stream: bytes, data: st.DataObject | None):
    at_once, in_pieces = _small(), _small()
    expected = [*at_once.feed(stream), at_once.finish()]
    got: list[SseEvent | None] = []
    rest = stream
    while rest:
        cut = data.draw(st.integers(1, len(rest))) if data else 1
        got += in_pieces.feed(rest[:cut])
        rest = rest[cut:]
    got.append(in_pieces.finish())
    assert got == expected
    assert in_pieces.error == at_once.error
    assert in_pieces.retry_ms == at_once.retry_ms


def _small() -> SseDecoder:
    """Limits that the generated streams reach now and then."""
    return SseDecoder(line_bytes_max=12, event_bytes_max=20)
