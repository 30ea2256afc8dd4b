"""The frames that the server and an outpost exchange: bytes in, frames out, and back. No I/O.

A frame is a head of 60 bytes and a payload. The head carries the CRC-32 of its run's stream before and after the
payload, and a CRC-32 of itself: so one pass over the payload checks the frame and carries the sum of the whole stream.
Frames with output are the records of the journal on the desktop, byte for byte.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum

from msgspec import Struct

HEAD = struct.Struct(">BB2xI16sQQQII")
CHECK = struct.Struct(">I")
HEAD_BYTES = HEAD.size + CHECK.size
NO_RUN = bytes(16)
PAYLOAD_BYTES_MAX = 8 * 1024 * 1024  # a hello that lists every run; output has at most 256 KiB

assert HEAD_BYTES == 60, "docs/outpost.md says so"


class Kind(IntEnum):
    """What a frame is. Those below 16 go to the outpost; those from 32 on are records of a journal."""

    START = 1
    ATTACH = 2
    ACK = 3
    CANCEL = 4
    FORGET = 5
    BEAT = 6
    REMOVE = 7
    LEAVE = 8
    HELLO = 16
    STATE = 17
    METRICS = 18
    OUTPUT = 32
    RESPONSE = 33
    END = 34


class ChannelBroken(Exception):
    """What came is not what an outpost sends: the channel cannot be used any further."""


class Frame(Struct, frozen=True):
    """One frame. `position` counts the raw bytes of the run before it, `offset` those of its stream."""

    kind: int
    run: bytes = NO_RUN
    payload: bytes = b""
    stream: int = 0
    position: int = 0
    offset: int = 0
    ms: int = 0  # since the run began
    before: int = 0  # CRC-32 of the stream before the payload
    after: int | None = None  # and after it; None when it is to be computed

    @property
    def is_sound(self) -> bool:
        """Whether the payload is what its head says: a disk may have changed it."""
        return self.after is None or zlib.crc32(self.payload, self.before) == self.after

    def encode(self) -> bytes:
        """As it goes over the wire."""
        after = zlib.crc32(self.payload, self.before) if self.after is None else self.after
        head = HEAD.pack(
            *(self.kind, self.stream, len(self.payload), self.run),
            *(self.position, self.offset, self.ms, self.before, after),
        )
        return head + CHECK.pack(zlib.crc32(head)) + self.payload

    def __str__(self) -> str:
        name = Kind(self.kind).name if self.kind in set(Kind) else str(self.kind)
        return f"{name} {self.run.hex()[:8]} at {self.position}: {len(self.payload)} bytes"


class FrameReader:
    """Cuts a byte stream into frames, however it was split."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def pending_bytes(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises ChannelBroken at a damaged or oversized head."""
        self._pending += data
        frames: list[Frame] = []
        at, size = 0, len(self._pending)
        view = memoryview(self._pending)
        try:
            while size - at >= HEAD_BYTES:
                (check,) = CHECK.unpack_from(view, at + HEAD.size)
                if zlib.crc32(view[at : at + HEAD.size]) != check:
                    raise ChannelBroken("The outpost sent a damaged frame.")
                kind, stream, length, run, position, offset, ms, before, after = HEAD.unpack_from(view, at)
                if length > PAYLOAD_BYTES_MAX:
                    raise ChannelBroken(f"The outpost announced a frame of {length} bytes.")
                end = at + HEAD_BYTES + length
                if end > size:
                    break
                payload = bytes(view[at + HEAD_BYTES : end])
                frames.append(Frame(kind, run, payload, stream, position, offset, ms, before, after))
                at = end
        finally:
            view.release()
        del self._pending[:at]
        return frames
