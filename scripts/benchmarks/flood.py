"""A flood: a command's 170 MB in 2 M lines, from a real OpenSSH server through the log to WebSocket subscribers.

The clock runs from the POST that starts the task until every subscriber has the task's end, which comes after its
last byte and after all of it is durable. The reference is `ssh host 'cat file' > file` over a connection that is open
already, as ours is, with the same cipher; rounds alternate. Every byte of one subscriber is compared with the file
once its clock has stopped; of many, each must have the same bytes without a gap between frames.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import anyio
from _support import Measured, Site, ends, in_thread, median, open_site, options_of, read, report


def write_lines(path: Path, lines: int) -> int:
    """A file as builds print it, 85 bytes a line; its size."""
    line = "2026-11-24T02:00:00.000Z INFO  worker compiled module %09d and linked %08d objects\n"
    with path.open("w") as file:
        for start in range(0, lines, 10_000):
            file.write("".join(line % (at, at * 7 % 10**8) for at in range(start, min(start + 10_000, lines))))
    return path.stat().st_size


def copy(line: list[str], source: Path, target: Path) -> float:
    """Seconds of the reference."""
    with target.open("wb") as file:
        started = time.perf_counter()
        subprocess.run([*line, f"cat {source}"], stdout=file, check=True)
        took = time.perf_counter() - started
    assert target.stat().st_size == source.stat().st_size
    target.unlink()
    return took


def flood(site: Site, source: Path, readers: int, digest: str) -> Measured:
    """One flood to so many subscribers: seconds, the server's CPU and memory."""
    http, process = site.http(), site.process
    subscribers = [site.subscriber(keep=readers == 1) for _ in range(readers)]
    process.forget_peak()
    cpu, started = process.cpu_seconds, time.perf_counter()
    task = site.ask(http, "POST", "/api/mission-control/tasks", site.task(f"cat {source}"))
    read(subscribers, lambda reader, frame: reader.take(frame) and ends(frame, task["id"]))
    took = time.perf_counter() - started
    result = {"seconds": took, "cpu": process.cpu_seconds - cpu, "peak": process.peak_mb}
    counts = {(reader.seen.events, reader.seen.bytes) for reader in subscribers}
    assert len(counts) == 1, f"all have the same: {counts}"
    if readers == 1:
        assert hashlib.sha256(subscribers[0].output()).hexdigest() == digest, "every byte, in order"
    for reader in subscribers:
        reader.close()
    http.close()
    result["events"] = counts.pop()[0]
    return result


async def main() -> None:
    options = options_of(__doc__, lines=2_000_000, rounds=3, readers=20)
    async with open_site() as site:
        source = site.folder / "lines"
        size = await in_thread(write_lines, source, options.lines)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        idle = site.process.resident_mb
        copies: list[float] = []
        floods: dict[int, list[Measured]] = {1: [], **({options.readers: []} if options.readers > 1 else {})}
        with site.ssh() as line:
            for _ in range(options.rounds):
                copies.append(await in_thread(copy, line, source, site.folder / "copy"))
                for readers, rounds in floods.items():
                    rounds.append(await in_thread(flood, site, source, readers, digest))
        at_end = site.process.resident_mb
    reference = median(copies)
    results: list[Measured] = [{"what": "ssh cat > file", "seconds": reference, "MB/s": size / reference / 1e6}]
    alone = median(one["seconds"] for one in floods[1])
    for readers, rounds in floods.items():
        seconds = median(one["seconds"] for one in rounds)
        results.append(
            {
                "what": f"{readers} subscriber{'s' * (readers > 1)}",
                "seconds": seconds,
                "MB/s": size / seconds / 1e6,
                "of ssh": reference / seconds,
                "of 1 subscriber": alone / seconds,
                "server CPU s": median(one["cpu"] for one in rounds),
                "peak MB": max(one["peak"] for one in rounds),
                "events": rounds[-1]["events"],
            }
        )
    report(options, results, bytes=size, rounds=options.rounds, idleMb=round(idle, 1), endMb=round(at_end, 1))


if __name__ == "__main__":
    anyio.run(main)
