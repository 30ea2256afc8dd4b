"""The disk fails, or the machine does: a real process under strace, which injects the error or the kill exactly there.

Whatever happens, what was acknowledged is there afterwards, what was refused is not, and a check finds no problem.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mission_control.domain.filters import Filter
from mission_control.log.sqlite import open_sqlite_log
from mission_control.log.verify import verify_directory

from .contract import everything
from .events import note, of_state

ROOT = Path(__file__).parents[2]
PIECES = 25


class Outcome(NamedTuple):
    """What a process was told before it ended."""

    exit_code: int
    ready: bool
    written: set[str]
    refused: set[str]
    broken: bool


async def appender(folder: Path, inject: str | None) -> Outcome:
    """Append under a fault: `inject` is an expression of strace's."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing: these tests inject faults with it. apt-get install strace")
    injected = [strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"inject={inject}"] if inject else []
    process = await asyncio.create_subprocess_exec(
        *injected,
        *(sys.executable, "-m", "tests.log.appender", str(folder), str(PIECES)),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'server'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    assert b"attach" not in errors, errors.decode()
    assert b"Operation not permitted" not in errors, errors.decode()
    lines = [line.split(maxsplit=1) for line in said.decode().splitlines()]
    told = {word: {rest[0] for first, *rest in lines if first == word and rest} for word in ("written", "refused")}
    words = {first for first, *_ in lines}
    assert process.returncode is not None
    return Outcome(process.returncode, "ready" in words, told["written"], told["refused"], "broken" in words)


async def stored(folder: Path) -> set[str]:
    """Which pieces and tasks the log has after a restart, in the words of the appender."""
    async with open_sqlite_log(folder) as log:
        bodies = [(event.type, event.body or b"") for event in await everything(log, Filter())]
        assert await log.append(of_state(note("goes on", task="task_x"))) == len(bodies) + 1
    pieces = {body.partition(b"<")[2].partition(b">")[0].decode() for type, body in bodies if type == "task.output"}
    tasks = {body.partition(b"<")[2].partition(b">")[0].decode() for type, body in bodies if type == "task.created"}
    return pieces | {f"task {number}" for number in tasks if number}


async def check(folder: Path, outcome: Outcome, *, died: bool = False) -> None:
    report = await verify_directory(folder)
    assert report.problems == ()
    found = await stored(folder)
    assert outcome.written <= found, "what was acknowledged is there"
    assert not outcome.refused & found, "what was refused is not"
    assert len(found - outcome.written) <= died, "at most the one that was under way when it died"


async def test_without_a_fault_everything_is_written(tmp_path: Path):
    outcome = await appender(tmp_path, None)
    assert (outcome.exit_code, outcome.broken, len(outcome.written)) == (0, False, PIECES + PIECES // 5)
    await check(tmp_path, outcome)


@pytest.mark.parametrize("when", [14, 19, 36])  # the first syncs are those of the tables
async def test_when_a_sync_fails_the_server_ends_and_acknowledges_nothing_more(tmp_path: Path, when: int):
    outcome = await appender(tmp_path, f"fdatasync:error=EIO:when={when}")
    assert (outcome.exit_code, outcome.broken) == (1, True)
    assert len(outcome.written) < PIECES
    await check(tmp_path, outcome, died=True)


async def test_when_every_write_fails_with_an_error_of_the_device_the_server_ends(tmp_path: Path):
    outcome = await appender(tmp_path, "pwrite64:error=EIO:when=260+")
    assert (outcome.exit_code, outcome.broken) == (1, True)
    assert outcome.written
    await check(tmp_path, outcome, died=True)


@pytest.mark.parametrize("when", ["200", "221..232", "300..315"])
async def test_when_the_disk_is_full_for_a_while_it_refuses_and_then_goes_on(tmp_path: Path, when: str):
    outcome = await appender(tmp_path, f"pwrite64:error=ENOSPC:when={when}")
    assert (outcome.exit_code, outcome.broken) == (0, False)
    assert outcome.refused
    assert str(PIECES - 1) in outcome.written, "it goes on when there is room again"
    await check(tmp_path, outcome)


async def test_when_the_disk_stays_full_everything_is_refused_and_the_server_stays_up(tmp_path: Path):
    outcome = await appender(tmp_path, "pwrite64:error=ENOSPC:when=300+")
    assert (outcome.exit_code, outcome.broken) == (0, False)
    assert str(PIECES - 1) in outcome.refused
    await check(tmp_path, outcome)


@pytest.mark.parametrize(
    "moment",
    # Half a first start, between first start and first event, in the middle, and while it closes.
    [f"fdatasync:signal=KILL:when={when}" for when in (1, 4, 12, 13, 30)]
    + [f"pwrite64:signal=KILL:when={when}" for when in (1, 50, 160, 301, 302, 450)],
)
async def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path, moment: str):
    outcome = await appender(tmp_path, moment)
    assert outcome.exit_code in (-9, 128 + 9), "strace ends as its process did"
    async with open_sqlite_log(tmp_path):
        pass  # whatever it left, even half a first start, the next one begins
    await check(tmp_path, outcome, died=True)
