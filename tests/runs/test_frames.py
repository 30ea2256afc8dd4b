"""Frames and runs come out the same however their bytes are split, repeated or damaged."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain.output import RunPosition, StreamPosition
from mission_control.domain.values import StreamSums
from mission_control.runs.frames import ChannelBroken, Frame, FrameReader, Kind
from mission_control.runs.install import NonceFinder, NoNonce, command_line
from mission_control.runs.protocol import Data, End, Gap, Mismatch, RunStream

RUN = b"0123456789abcdef"
u64 = st.integers(0, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
frames = st.builds(
    Frame, st.sampled_from(list(Kind)), st.binary(min_size=16, max_size=16), st.binary(max_size=300),
    st.integers(0, 3), u64, u64, u64, u32,
)  # fmt: skip


@given(st.lists(frames, max_size=6), st.data())
def test_frames_survive_any_split(sent: list[Frame], data: st.DataObject):
    wire, reader, got = b"".join(frame.encode() for frame in sent), FrameReader(), list[Frame]()
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        got, wire = got + reader.feed(wire[:cut]), wire[cut:]
    assert [frame.encode() for frame in got] == [frame.encode() for frame in sent]
    assert all(frame.is_sound for frame in got)


@given(frames, st.data())
def test_a_changed_bit_is_never_taken_for_sound(frame: Frame, data: st.DataObject):
    wire = bytearray(frame.encode())
    bit = data.draw(st.integers(0, len(wire) * 8 - 1))
    wire[bit // 8] ^= 1 << bit % 8
    try:
        (got,) = FrameReader().feed(bytes(wire))
    except ChannelBroken:
        return
    assert not got.is_sound


@given(st.binary(max_size=2000), st.data())
def test_noise_before_the_nonce_is_skipped_however_it_is_split(noise: bytes, data: st.DataObject):
    finder, wire, got = NonceFinder("a1b2c3"), noise + b"a1b2c3\nframes", None
    while wire and got is None:
        cut = data.draw(st.integers(1, len(wire)))
        got, wire = finder.feed(wire[:cut]), wire[cut:]
    assert got is not None
    assert got + wire == b"frames"
    assert finder.noise == noise


def test_endless_noise_is_given_up():
    with pytest.raises(NoNonce):
        NonceFinder("a1b2c3").feed(b"motd " * 50_000)


def test_no_path_of_an_interpreter_can_say_more_than_a_path():
    for python in ("python3; rm -rf /", "$(id)", "-c", "a b", "py'thon"):
        with pytest.raises(ValueError, match="plain path"):
            command_line(python)


def journal(chunks: list[tuple[int, bytes]]) -> list[Frame]:
    """The records that a supervisor would write."""
    position, offsets, sums, records = 0, {1: 0, 2: 0}, {1: 0, 2: 0}, list[Frame]()
    for stream, data in chunks:
        after = zlib.crc32(data, sums[stream])
        records.append(Frame(Kind.OUTPUT, RUN, data, stream, position, offsets[stream], 0, sums[stream], after))
        position, offsets[stream], sums[stream] = position + len(data), offsets[stream] + len(data), after
    return records


def end_of(chunks: list[tuple[int, bytes]]) -> End:
    whole = {n: b"".join(data for stream, data in chunks if stream == n) for n in (1, 2)}
    return End(
        streams={str(n): StreamSums(bytes=len(data), crc=zlib.crc32(data), sha256="") for n, data in whole.items()}
    )


chunk_lists = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=20)), min_size=1, max_size=20)


@given(chunk_lists, st.data())
def test_however_often_the_link_breaks_each_byte_arrives_once_and_in_order(
    chunks: list[tuple[int, bytes]], data: st.DataObject
):
    records, stream, got = journal(chunks), RunStream(), list[tuple[str, bytes]]()
    while stream.position < sum(len(chunk) for _, chunk in chunks):
        # After a reconnect the outpost begins at the start of a record, at or before what has come.
        begun = [n for n, record in enumerate(records) if record.position <= stream.position]
        first = data.draw(st.sampled_from(begun))
        last = data.draw(st.integers(begun[-1] + 1, len(records)))
        for record in records[first:last]:
            for item in stream.take(record):
                assert isinstance(item, Data)
                got.append((item.stream, item.data))
    assert b"".join(data for _, data in got) == b"".join(data for _, data in chunks)
    for number, name in ((1, "stdout"), (2, "stderr")):
        assert b"".join(d for s, d in got if s == name) == b"".join(d for s, d in chunks if s == number)
    stream.check(end_of(chunks))


@given(chunk_lists, st.data())
def test_a_run_is_taken_up_from_any_position_that_the_log_may_hold(
    chunks: list[tuple[int, bytes]], data: st.DataObject
):
    whole = b"".join(chunk for _, chunk in chunks)
    cut = data.draw(st.integers(0, len(whole)))
    position, left = RunPosition(), cut
    for number, chunk in chunks:
        position = position.after("stdout" if number == 1 else "stderr", chunk[:left]) if left else position
        left -= min(left, len(chunk))
    stream = RunStream(position)
    got = [item for record in journal(chunks) for item in stream.take(record)]
    assert b"".join(item.data for item in got if isinstance(item, Data)) == whole[cut:]
    stream.check(end_of(chunks))


@given(chunk_lists, st.data())
def test_what_is_missing_or_damaged_becomes_a_gap_and_everything_else_arrives(
    chunks: list[tuple[int, bytes]], data: st.DataObject
):
    records = journal(chunks)
    fates = [data.draw(st.sampled_from(["good", "good", "missing", "damaged"])) for _ in records[:-1]] + ["good"]
    stream, covered, got = RunStream(), 0, b""
    for record, fate in zip(records, fates, strict=True):
        if fate == "missing":
            continue
        wrong = bytes([record.payload[0] ^ 1]) + record.payload[1:]
        damaged = msgspec.structs.replace(record, payload=wrong)
        for item in stream.take(damaged if fate == "damaged" else record):
            if isinstance(item, Gap):
                assert item.start == covered
                covered = item.to
            else:
                got, covered = got + item.data, covered + len(item.data)
    assert got == b"".join(record.payload for record, fate in zip(records, fates, strict=True) if fate == "good")
    assert covered == sum(len(chunk) for _, chunk in chunks)
    stream.check(end_of(chunks))


def test_a_log_that_holds_other_bytes_than_the_desktop_is_noticed():
    position = RunPosition(stdout=StreamPosition(3, zlib.crc32(b"abX")))
    with pytest.raises(Mismatch):
        RunStream(position).take(journal([(1, b"abcdef")])[0])
    stream = RunStream()
    stream.take(journal([(1, b"abc")])[0])
    with pytest.raises(Mismatch):
        stream.check(end_of([(1, b"abcd")]))
