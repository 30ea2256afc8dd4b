"""Shows that the tests of faults can fail: plants one known bug after the other in a copy, and expects them to go red.

A bug is an exact replacement in one file; when its text is not there exactly once, that is an error of its own: the
code has moved on, and the bug is to be planted anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path("server/mission_control")
WORKERS = 2
RED = 1  # pytest's exit code when tests have failed; others mean that it could not even try
DEADLINE_SECONDS = "20"  # what the tests wait for a state that a bug may keep from coming


@dataclass(frozen=True)
class Bug:
    """A mistake that was made elsewhere, or nearly here."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def killed(*names: str) -> tuple[str, ...]:
    return tuple(f"test_server_killed.py::test_{name}" for name in names)


def on_desktop(*names: str) -> tuple[str, ...]:
    return tuple(f"test_desktop.py::test_{name}" for name in names)


BUGS = (
    Bug(
        "acknowledge before the commit",
        "runs/recorder.py",
        """                self._is_writing = True
                await self._append(events, RunRow(self._task.id, position))
                self._is_writing = False
                self.on_durable(position.position)
""",
        """                self._is_writing = True
                self.on_durable(position.position)
                await self._append(events, RunRow(self._task.id, position))
                self._is_writing = False
""",
        killed("a_server_killed_while_its_disk_is_slow_had_acknowledged_nothing_that_it_did_not_have"),
    ),
    Bug(
        "drop what came last before the end",
        "runs/commands.py",
        """                case Ended() | Lost():
                    await recorder.add([*pieces, *cutter.finish()], position=cutter.position)
""",
        """                case Ended() | Lost():
                    await recorder.add(pieces[:-1], position=cutter.position)
""",
        ("test_site.py::test_without_a_fault_every_byte_and_every_end_is_there",),
    ),
    Bug(
        "say the end before the last byte is in the log",
        "runs/commands.py",
        """                    await recorder.drained()
                    if isinstance(one, Lost):
""",
        """                    if isinstance(one, Lost):
""",
        ("test_site.py::test_without_a_fault_every_byte_and_every_end_is_there",),
    ),
    Bug(
        "end a run before its pipes are read",
        "outpost/outpost.py",
        """        return self.must_read <= 0 and now >= self.ended_at + DRAIN_S
""",
        """        return True
""",
        ("test_inputs.py::test_every_kind_of_output_and_every_end_arrive_as_they_are_while_link_and_server_fail",),
    ),
    Bug(
        "go on one byte too early after a restart",
        "runs/protocol.py",
        """        known_bytes = self.position - frame.position
""",
        """        known_bytes = max(0, self.position - frame.position - 1)
""",
        killed(
            "a_server_killed_in_mid_flood_resumes_at_the_exact_byte",
            "a_server_killed_three_times_in_a_row_loses_and_repeats_nothing",
        ),
    ),
    Bug(
        "a subscriber's cursor is off by one",
        "streams/live_socket.py",
        """        after = head if order.after is None else order.after
""",
        """        after = head if order.after is None else max(order.after - 1, 0)
""",
        killed("a_server_killed_in_mid_flood_resumes_at_the_exact_byte"),
    ),
    Bug(
        "tell who lives by the process id alone",
        "outpost/outpost.py",
        """                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                said = file.read().strip()
""",
        """                said = file.read().strip()
                if said and os.path.exists("/proc/%d" % json.loads(said.decode())["pid"]):
                    return
""",
        on_desktop("a_process_that_got_the_id_of_a_dead_supervisor_is_not_touched"),
    ),
    Bug(
        "start again without asking",
        "runs/conversation.py",
        """        if self._is_new and self._spec:
""",
        """        if True:
""",
        on_desktop("when_its_folder_is_wiped_while_the_server_is_away_nothing_is_run_again"),
    ),
    Bug(
        "start again what nobody knows any more",
        "runs/conversation.py",
        """        if self._is_new or (is_same and not self._is_confirmed):
""",
        """        if True:
""",
        on_desktop("when_its_folder_is_wiped_while_the_server_is_away_nothing_is_run_again"),
    ),
    Bug(
        "sum each piece instead of the stream",
        "domain/output.py",
        """            crc=after.of(stream).crc,
""",
        """            crc=zlib.crc32(data),
""",
        ("test_site.py::test_without_a_fault_every_byte_and_every_end_is_there",),
    ),
    Bug(
        "do not say which bytes are lost",
        "runs/commands.py",
        """    await recorder.add(head=lost, position=cutter.position)
""",
        """    assert lost
    await recorder.add(position=cutter.position)
""",
        on_desktop("bytes_that_the_disk_damaged_are_a_declared_gap_and_the_rest_is_there[payload-by the same outpost]"),
    ),
    Bug(
        "forget a cancel at a restart",
        "runs/runner.py",
        """        if task is not None and task.cancel_requested_at:
            cancel()
""",
        """        assert task
""",
        killed("a_server_killed_right_after_it_accepted_a_cancel_has_not_forgotten_it"),
    ),
    Bug(
        "end the shell only, not its tree",
        "outpost/outpost.py",
        """        return descendants(os.getpid())
""",
        """        return [one for one in descendants(os.getpid()) if one[0] == self.child]
""",
        ("test_inputs.py::test_a_cancel_reaches_children_that_changed_their_session",),
    ),
    Bug(
        "keep reading beyond the quota",
        "outpost/outpost.py",
        """        wanted = self.journal.size - self.committed < self.quota and self.unwritten is None
""",
        """        wanted = self.unwritten is None
""",
        killed("a_full_spool_makes_the_command_wait_and_loses_nothing"),
    ),
    Bug(
        "masking per frame only",
        "domain/masking.py",
        """        found, cut = settled(data, patterns, is_end=is_end)
        shown""",
        """        found, cut = settled(data, patterns, is_end=True)
        shown""",
        ("test_secrets.py::test_a_server_killed_in_the_middle_of_a_secret_masks_it_when_it_goes_on",),
    ),
    Bug(
        "take a reboot for a killed supervisor",
        "outpost/outpost.py",
        """        elif boot != self.boot:
""",
        """        elif boot == "":
""",
        on_desktop("after_a_reboot_a_run_says_so_keeps_its_output_and_is_not_run_again"),
    ),
    Bug(
        "start what was cancelled while its start was lost",
        "runs/conversation.py",
        """            if self._grace_ms is not None:
                return self._over(Lost("cancelled", CANCELLED)), b""
""",
        "",
        ("test_link.py::test_what_is_cancelled_while_its_start_is_lost_on_its_way_is_never_started",),
    ),
    Bug(
        "wait for a commit of what a server holds back",
        "outpost/outpost.py",
        """        self.in_flight = min(before, self.last + 1 - position)
""",
        """        self.in_flight = before
""",
        ("test_secrets.py::test_a_flood_in_which_a_secret_may_begin_anywhere_ends_over_a_slow_link_too",),
    ),
)


def run_tests(tests: Sequence[str], server: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run these tests of tests/faults against a package."""
    variables = {**os.environ, "PYTHONPATH": str(server), "MISSION_CONTROL_FAULTS_SECONDS": DEADLINE_SECONDS}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        [*command, *(f"tests/faults/{test}" for test in tests)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def plant(bug: Bug, folder: Path) -> Path:
    """A copy of the server with the bug in it."""
    copy = folder / bug.name.replace(" ", "-") / "server"
    shutil.copytree(ROOT / "server", copy, ignore=shutil.ignore_patterns("__pycache__", "dashboard"))
    file = copy / "mission_control" / bug.file
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise LookupError(f"{bug.file} has the text {text.count(bug.old)} times where this bug is to be planted")
    file.write_text(text.replace(bug.old, bug.new))
    return copy


def try_bug(bug: Bug, folder: Path) -> str | None:
    """Why the bug was not shown; None when the tests have gone red as they should."""
    began = time.monotonic()
    try:
        copy = plant(bug, folder)
    except (LookupError, OSError) as error:
        print(f"  NOT PLANTED  {bug.name}: {error}", flush=True)
        return bug.name
    said = run_tests(bug.tests, copy)
    seconds = time.monotonic() - began
    if said.returncode == RED:
        reasons = [line[2:].strip() for line in said.stdout.splitlines() if line.startswith("E  ")]
        print(
            f"  red      {bug.name} ({seconds:.0f} s): {(reasons or ['?'])[min(1, len(reasons) - 1)][:150]}", flush=True
        )
        return None
    print(f"  NOT RED  {bug.name} ({seconds:.0f} s)\n{said.stdout[-3000:]}{said.stderr[-2000:]}", flush=True)
    return bug.name


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/faults --planted", description="Plant known bugs; tests must go red."
    )
    parser.add_argument("words", nargs="*", help="only bugs whose names hold one of these words")
    given = parser.parse_args()
    bugs = [bug for bug in BUGS if not given.words or any(word in bug.name for word in given.words)]
    tests = sorted({test for bug in bugs for test in bug.tests})
    print(f"{len(tests)} tests without a bug …", flush=True)
    said = run_tests(tests, ROOT / "server", "-n", str(WORKERS))
    if said.returncode:
        print(f"{said.stdout[-6000:]}\nThese tests are to pass before anything is planted.")
        return 1
    with tempfile.TemporaryDirectory(prefix="planted-") as folder, ThreadPoolExecutor(WORKERS) as pool:
        failed = [name for name in pool.map(lambda bug: try_bug(bug, Path(folder)), bugs) if name]
    print(f"{len(bugs) - len(failed)} of {len(bugs)} planted bugs were noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
