"""A command that knows what it wrote: numbered lines on both streams, the same for everybody who knows the seed.

    python3 writer.py FOLDER NAME SEED STDOUT_BYTES STDERR_BYTES [BYTES_PER_S [PAUSE_AT [CODE]]]

In FOLDER it appends a line to `NAME.started` (so that a second start would show), waits at PAUSE_AT bytes until
`NAME.go` exists, and writes the sums of what it wrote to `NAME.written` before it ends with CODE. Standard library
only: it runs on the desktop, and tests import it to know what it wrote.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LINE_BYTES_MAX = 200
WRITE_BYTES_MAX = 60_000
UNIT_BYTES = 300_000


def stream_bytes(seed: int, stream: str, size: int) -> bytes:
    """What this seed's stream begins with, so many bytes of it. Made of units that differ in their heads only."""
    chance = random.Random(f"{seed} {stream}")
    lines: list[bytes] = []
    total = number = 0
    while total < min(size, UNIT_BYTES):
        digest = hashlib.sha256(f"{seed} {stream} {number}".encode()).hexdigest() * 3
        line = f"{stream} {number} é {digest}".encode()[: chance.randrange(12, LINE_BYTES_MAX)] + b"\n"
        lines.append(line)
        total += len(line)
        number += 1
    unit = b"".join(lines)
    units = 1 + size // max(len(unit), 1)
    return b"".join(b"%s unit %d\n%b" % (stream.encode(), one, unit) for one in range(units))[:size]


def writes(seed: int, out: bytes, err: bytes) -> Iterator[tuple[int, bytes]]:
    """(descriptor, bytes) of every write, in the seed's own order."""
    chance = random.Random(f"{seed} writes")
    left = {1: memoryview(out), 2: memoryview(err)}
    sizes = (1, 20, 500, 4096, WRITE_BYTES_MAX) if len(out) + len(err) < 16_000_000 else (WRITE_BYTES_MAX,)
    while left[1] or left[2]:
        descriptor = chance.choice([fd for fd in (1, 2) if left[fd]])
        size = min(len(left[descriptor]), chance.choice(sizes))
        yield descriptor, bytes(left[descriptor][:size])
        left[descriptor] = left[descriptor][size:]


def write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main(folder: str, name: str, seed: int, sizes: tuple[int, int], rate: int, pause_at: int, code: int) -> None:
    with open(f"{folder}/{name}.started", "a") as file:
        file.write(f"{os.getpid()}\n")
    sums = {1: hashlib.sha256(), 2: hashlib.sha256()}
    counts = {1: 0, 2: 0}
    total, began = 0, time.monotonic()
    out, err = stream_bytes(seed, "stdout", sizes[0]), stream_bytes(seed, "stderr", sizes[1])
    for descriptor, data in writes(seed, out, err):
        first = pause_at - total if total < pause_at <= total + len(data) else 0
        write(descriptor, data[:first])
        while first and not Path(f"{folder}/{name}.go").exists():
            time.sleep(0.01)
        write(descriptor, data[first:])
        sums[descriptor].update(data)
        counts[descriptor] += len(data)
        total += len(data)
        if rate:
            time.sleep(max(0.0, began + total / rate - time.monotonic()))
    said = {fd: {"bytes": counts[fd], "sha256": sums[fd].hexdigest()} for fd in (1, 2)}
    unfinished = Path(f"{folder}/{name}.unfinished")  # a kill in the middle leaves no half of it to be read
    unfinished.write_text(json.dumps({"stdout": said[1], "stderr": said[2], "code": code}))
    unfinished.rename(f"{folder}/{name}.written")
    sys.exit(code)


if __name__ == "__main__":
    numbers = [int(one) for one in sys.argv[3:]] + [0] * 6
    main(sys.argv[1], sys.argv[2], numbers[0], (numbers[1], numbers[2]), numbers[3], numbers[4], numbers[5])
