"""Secrets are masked however the bytes arrive, and nothing else is."""

import base64
import json
import zlib
from collections import defaultdict
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.masking import (
    HELD_MS_MAX,
    NOTHING,
    Masker,
    Patterns,
    ProgressMasker,
    Stream,
    forms_of,
    masked,
)
from mission_control.domain.output import OutputCutter, Piece, RunPosition
from mission_control.domain.progress import Progress, gather, rest_of

# Of few letters, so that secrets overlap, repeat themselves and begin everywhere. None holds a `*`.
WORDS = st.text("abAB+/ é\n", min_size=6, max_size=14).filter(lambda word: len(word.strip()) >= 6)
SECRETS = st.lists(WORDS, min_size=1, max_size=4)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[str], list[tuple[Stream, bytes]]]:
    """Secrets, and what a program writes: parts of them and other text, in reads that end anywhere."""
    secrets = draw(SECRETS)
    forms = sorted({form for secret in secrets for form in forms_of(secret)})
    parts = st.one_of(st.sampled_from(forms), st.binary(max_size=5), st.text("abAB\n", max_size=6).map(str.encode))
    begun = st.sampled_from(forms).flatmap(lambda form: st.integers(0, len(form)).map(lambda size: form[:size]))
    reads: list[tuple[Stream, bytes]] = []
    for stream in draw(st.lists(st.sampled_from(("stdout", "stderr")), max_size=3)):
        wire = b"".join(draw(st.lists(st.one_of(parts, begun), max_size=6)))
        while wire:
            cut = draw(st.integers(1, len(wire)))
            reads.append((stream, wire[:cut]))
            wire = wire[cut:]
    return secrets, draw(st.permutations(reads)) if draw(st.booleans()) else reads


def wholes(reads: list[tuple[Stream, bytes]]) -> dict[Stream, bytes]:
    found: defaultdict[Stream, bytes] = defaultdict(bytes)
    for stream, data in reads:
        found[stream] += data
    return found


def shown_by_feeding(cutter: OutputCutter, reads: list[tuple[Stream, bytes]]) -> list[Piece]:
    return [piece for ms, (stream, data) in enumerate(reads) for piece in cutter.feed(stream, data, ms)]


def shown_by(cutter: OutputCutter, reads: list[tuple[Stream, bytes]]) -> list[Piece]:
    return shown_by_feeding(cutter, reads) + cutter.finish()


def slowly_masked(data: bytes, secrets: list[str]) -> bytes:
    """The rule, without anything clever: from left to right, the longest form that stands there."""
    forms = sorted({form for secret in secrets for form in forms_of(secret)}, key=len, reverse=True)
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        form = next((form for form in forms if data.startswith(form, at)), None)
        if form:
            ranges.append((at, at + len(form)))
        at += len(form) if form else 1
    return masked(data, ranges)


@given(outputs())
def test_what_is_masked_does_not_depend_on_how_the_output_was_split(
    given: tuple[list[str], list[tuple[Stream, bytes]]],
) -> None:
    secrets, reads = given
    patterns = Patterns(secrets)
    pieces = shown_by(OutputCutter(patterns=lambda: patterns), reads)
    for stream, whole in wholes(reads).items():
        shown = b"".join(piece.data for piece in pieces if piece.stream == stream)
        assert shown == slowly_masked(whole, secrets)
        assert not [form for form in forms_of(secrets[0]) if form in shown]


@given(outputs())
def test_offsets_lines_and_sums_are_those_of_the_raw_bytes_and_masked_tells_where(
    given: tuple[list[str], list[tuple[Stream, bytes]]],
) -> None:
    secrets, reads = given
    patterns = Patterns(secrets)
    pieces, raw = shown_by(OutputCutter(patterns=lambda: patterns), reads), wholes(reads)
    position = RunPosition()
    for piece in pieces:
        here = raw[piece.stream][piece.offset : piece.offset + piece.length]
        assert (piece.position, piece.offset) == (position.position, position.of(piece.stream).offset)
        assert piece.line == position.line_at(piece.stream)
        position = position.after(piece.stream, here)
        assert piece.crc == position.of(piece.stream).crc == zlib.crc32(raw[piece.stream][: piece.offset + len(here)])
        ranges = [(at - piece.offset, at + size - piece.offset) for at, size in piece.masked]
        assert all(0 <= at < to <= piece.length for at, to in ranges)
        assert masked(here, ranges) == piece.data
    assert position.position == sum(len(data) for _, data in reads)


@given(outputs(), st.data())
def test_a_server_that_is_killed_and_goes_on_where_the_log_ends_masks_the_same(
    given: tuple[list[str], list[tuple[Stream, bytes]]], data: st.DataObject
) -> None:
    secrets, reads = given
    patterns = Patterns(secrets)
    cutter, pieces = OutputCutter(patterns=lambda: patterns), list[Piece]()
    for ms, (stream, bytes_) in enumerate(reads):
        pieces += cutter.feed(stream, bytes_, ms)
        if data.draw(st.booleans()):
            position = cutter.position
            cutter = OutputCutter(position, lambda: patterns)
            sent = 0
            for other, again in reads[: ms + 1]:  # the desktop sends again what was not acknowledged
                skip = min(max(position.position - sent, 0), len(again))
                sent += len(again)
                pieces += cutter.feed(other, again[skip:], ms)
    pieces += cutter.finish()
    for stream, whole in wholes(reads).items():
        assert b"".join(piece.data for piece in pieces if piece.stream == stream) == slowly_masked(whole, secrets)


@given(outputs())
def test_less_than_the_longest_secret_is_held_back(given: tuple[list[str], list[tuple[Stream, bytes]]]) -> None:
    secrets, reads = given
    reads = [read for read in reads if read[0] == "stdout"]
    patterns = Patterns(secrets)
    masker, came, gave = Masker(lambda: patterns), 0, 0
    for stream, data in reads:
        came += len(data)
        gave += sum(len(one.data) for one in masker.feed(stream, data, 0))
        assert came - gave < patterns.longest


SECRET = 'päss/w+rd "x" & more'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
    ],
)
def test_a_secret_is_found_as_json_and_urls_escape_it(form: str) -> None:
    assert Patterns([SECRET]).mask(f"<{form}>") == f"<{'*' * len(form.encode())}>"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_in_base64_wherever_it_begins(before: str, encode: type) -> None:
    secret = "hunter2>>??~~secret"
    whole = encode(f"{before}{secret} and more".encode()).decode()
    shown = Patterns([secret]).mask(whole)
    assert "*" * (len(secret) * 8 // 6 - 2) in shown
    assert len(shown) == len(whole)


def test_a_key_of_many_lines_is_masked_line_by_line_and_wrapped() -> None:
    lines = ["-----BEGIN KEY-----", *(f"{i}abcdefghijklmnopqrstuvwxyz/{i}" * 2 for i in range(5)), "-----END KEY-----"]
    key = "\n".join(lines) + "\n"
    patterns = Patterns([key])
    assert patterns.mask(key).split("\n") == ["*" * len(line) for line in lines] + [""]
    assert patterns.mask(f"  {lines[2]}  {lines[0]}") == f"  {'*' * len(lines[2])}  {lines[0]}"
    wrapped = base64.encodebytes(key.encode()).decode()
    assert set(patterns.mask(wrapped)[:-8]) == {"*", "\n"}


def test_what_is_too_short_is_not_masked() -> None:
    assert Patterns(["abc", "  12345  "]).mask("abc 12345") == "abc 12345"
    assert not NOTHING


def test_a_prompt_without_a_line_end_appears_at_once_but_for_what_may_become_a_secret() -> None:
    patterns = Patterns(["hunter2"])
    cutter = OutputCutter(patterns=lambda: patterns)
    assert cutter.feed("stdout", b"Go on? ", 0) == []
    assert [piece.data for piece in cutter.flush(cutter.deadline or 0)] == [b"Go on? "]
    assert cutter.feed("stdout", b"yes hun", 200) == []
    assert [piece.data for piece in cutter.flush(cutter.deadline or 0)] == [b"yes "]
    assert cutter.has_partial
    assert cutter.deadline is None, "no time shows whether it becomes a secret"
    assert [piece.data for piece in cutter.feed("stdout", b"gry\n", 90_000)] == [b"hungry\n"]


def test_another_stream_waits_behind_a_secret_that_has_begun_but_not_for_long() -> None:
    patterns = Patterns(["hunter2"])
    cutter = OutputCutter(patterns=lambda: patterns)
    assert cutter.feed("stdout", b"hun", 0) == []
    assert cutter.feed("stderr", b"warning\n", 10) == []
    assert cutter.deadline == 10 + HELD_MS_MAX
    pieces = cutter.flush(10 + HELD_MS_MAX)
    assert [(piece.stream, piece.data) for piece in pieces] == [("stdout", b"hun"), ("stderr", b"warning\n")]
    (rest,) = cutter.feed("stdout", b"ter2\n", 2000)
    assert (rest.data, rest.masked) == (b"****\n", ((3, 4),)), "it became one after all: the rest does not show"


def test_a_secret_around_another_stream_is_masked_and_the_order_stays() -> None:
    patterns = Patterns(["hunter2"])
    cutter = OutputCutter(patterns=lambda: patterns)
    cutter.feed("stdout", b"hun", 0)
    cutter.feed("stderr", b"warning\n", 10)
    pieces = cutter.feed("stdout", b"ter2\n", 20)
    assert [(piece.stream, piece.position, piece.data) for piece in pieces] == [
        ("stdout", 0, b"***"),
        ("stderr", 3, b"warning\n"),
        ("stdout", 11, b"****\n"),
    ]


def test_a_secret_whose_rest_waits_behind_the_other_stream_is_not_given_in_part():
    patterns = Patterns(["AAAA A"])
    reads: list[tuple[Stream, bytes]] = [("stderr", b"A"), ("stdout", b"A"), ("stderr", b"AAA A")]
    cutter = OutputCutter(patterns=lambda: patterns)
    assert shown_by_feeding(cutter, reads) == [], "the end of stdout may become a secret, and stderr's is one"
    assert cutter.position == RunPosition()
    assert [(piece.stream, piece.data) for piece in cutter.finish()] == [
        ("stderr", b"*"),
        ("stdout", b"A"),
        ("stderr", b"*****"),
    ]


def test_an_agents_secret_that_shares_its_bytes_with_what_is_held_is_not_given_in_part():
    masker = ProgressMasker(lambda: Patterns(["AAAAAA"]))
    items = [Progress(kind="text", up_to=up_to, text=text) for up_to, text in ((0, "AAAAA"), (1, "A"), (1, "A"))]
    assert masker.feed(items[:1]) + masker.feed(items[1:]) == []
    assert [item.text for item in masker.finish()] == ["*****", "*", "A"]


def test_of_an_agents_words_only_what_may_begin_a_secret_waits_for_the_next_ones():
    masker = ProgressMasker(lambda: Patterns(["letmein"]))
    said = masker.feed([Progress(kind="text", up_to=1, text="Two lines.\n\nStill")])
    assert [(item.text, item.held) for item in said] == [("Two lines.\n\nStil", 1)]
    said += masker.feed([Progress(kind="text", up_to=2, text=" writing, let")])
    assert [item.text for item in said[1:]] == ["l", " writing, "]
    said += masker.feed([Progress(kind="text", up_to=3, text="mein, and more")])
    assert "".join(item.text or "" for item in said) == "Two lines.\n\nStill writing, *******, and more"
    assert masker.finish() == []


@given(SECRETS, st.data())
def test_an_agents_text_is_masked_however_it_is_cut_into_pieces(secrets: list[str], data: st.DataObject) -> None:
    patterns = Patterns(secrets)
    text = "".join(data.draw(st.lists(st.one_of(st.sampled_from(secrets), st.text("abAB\n", max_size=6)), max_size=6)))
    items, at, up_to = list[Progress](), 0, 0
    while at < len(text):
        size = data.draw(st.integers(1, len(text) - at))
        up_to += data.draw(st.integers(0, 5))
        items.append(Progress(kind="text", up_to=up_to, text=text[at : at + size]))
        at += size
    masker, said, silent_until = ProgressMasker(lambda: patterns), list[Progress](), -1
    while True:  # each turn is a server, the last one goes to the end; one `feed` is one append
        rest = [item for item in items if item.up_to > silent_until]
        if said and said[-1].held:
            rest.insert(0, rest_of([item for item in items if item.up_to <= silent_until][-1], said[-1].held))
        masker = ProgressMasker(lambda: patterns)
        for place in sorted({item.up_to for item in rest}):
            given = masker.feed([item for item in rest if item.up_to == place])
            said += given
            silent_until = max([silent_until, *(item.up_to for item in given)])
            if data.draw(st.integers(0, 9)) == 0:
                break
        else:
            said += masker.finish()
            break
    shown = "".join(item.text or "" for item in gather(said))
    assert shown == patterns.mask(text)


def test_plans_tools_and_notices_are_masked_as_they_are() -> None:
    patterns = Patterns(["hunter2"])
    masker = ProgressMasker(lambda: patterns)
    tool = Progress(kind="tool.started", up_to=9, call_id="1", name="sh", input='{"cmd": "echo hunter2"}')
    text = Progress(kind="text", up_to=3, text="hunter")
    assert masker.feed([text]) == []
    shown = masker.feed([tool])
    assert [item.text or item.input for item in shown] == ["hunter", '{"cmd": "echo *******"}']
    assert masker.count == 1
