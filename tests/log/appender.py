"""A process that appends until it is done or dies, and says on stdout what it was promised. Started under strace.

Each line is one answer: `ready`, `written N`, `refused N`, `broken`. Pieces are output of a run and carry their number;
every fifth is followed by a task, so that state and projections are written too.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mission_control.control.door import Control, open_control
from mission_control.domain.errors import Refused
from mission_control.domain.output import OutputCutter
from mission_control.log.directory import locked_directory
from mission_control.log.event_log import LogUnavailable
from mission_control.log.writer import LogBroken

from .world import new_task, record, running_desktop

PIECE_BYTES = 20_000  # more than a page, so that writes of the WAL are many


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - this is its protocol


async def append(control: Control, count: int) -> None:
    desktop = await running_desktop(control)
    task = await new_task(control, desktop, run=True)
    await control.tasks.enter_phase(task.id, "starting")
    cutter = OutputCutter()
    say("ready")
    for number in range(count):
        before = cutter.position
        try:
            await record(control, task, cutter, [("stdout", f"<{number}>".encode() + b"." * PIECE_BYTES + b"\n")])
            say("written", number)
        except LogUnavailable:
            cutter = OutputCutter(before)
            say("refused", number)
        if number % 5 == 4:
            try:
                await new_task(control, desktop, content=f"echo '<{number}>'")
                say("written", f"task {number}")
            except Refused:
                say("refused", f"task {number}")


async def main(folder: Path, count: int) -> int:
    exit_code = 0
    try:
        with locked_directory(folder):
            async with open_control(folder) as control:
                await append(control, count)
    except* LogBroken:
        say("broken")
        exit_code = 1
    return exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]))))
