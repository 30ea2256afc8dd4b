"""The promises, each as a function over a recorded history: what is wrong, as sentences; nothing when it is kept.

They do not know which faults there were. What a fault excuses (a run whose supervisor was killed, a damaged disk) is in
the history, named by the test that did it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from tests.faults.history import ENDS, FINAL, History, Run, Seen, Watched, of_type

NEXT = {
    None: ("pending",),
    "pending": ("running", "cancelled"),
    "running": ("review", "done", "failed", "cancelled"),
    "review": ("done", "failed"),
    "done": (),
    "failed": (),
    "cancelled": (),
}
PHASES = ("queued", "starting", "streaming", "draining")
OUTPUT, GAP = "task.output", "task.outputGap"


def log_is_dense(history: History) -> Iterator[str]:
    """The log has every seq once, in order, from 1."""
    for place, seen in enumerate(history.log, 1):
        if seen.seq != place:
            yield f"the log has {seen.seq} where {place} belongs"
            return


def watchers_saw_the_log(history: History) -> Iterator[str]:
    """What a watcher put together over all its reconnects is the log under its filter: no gap, no repeat, no change."""
    for watched in history.watchers:
        right = [
            seen
            for seen in history.log
            if watched.after < seen.seq <= watched.cursor and watched.task_id in (None, seen.task_id)
        ]
        yield from _same(watched, right)
        if watched.resets > history.resets_allowed:
            yield f"{watched.name} was told {watched.resets} times that its cursor means nothing"


def _same(watched: Watched, right: list[Seen]) -> Iterator[str]:
    seqs = [seen.seq for seen in watched.events]
    repeated = [seq for seq, count in Counter(seqs).items() if count > 1]
    if repeated:
        yield f"{watched.name} saw {len(repeated)} events twice, the first of them {min(repeated)}"
    if seqs != sorted(seqs):
        yield f"{watched.name} saw events out of order"
    missing = {seen.seq for seen in right} - set(seqs)
    if missing:
        yield f"{watched.name} missed {len(missing)} events, the first of them {min(missing)}"
    stored = {seen.seq: seen for seen in right}
    for seen in watched.events:
        if seen.seq not in stored:
            yield f"{watched.name} saw {seen}, which the log does not have"
            return
        is_same = (seen.type, seen.raw) == (stored[seen.seq].type, stored[seen.seq].raw)
        if not is_same and (seen.type, seen.payload) != (stored[seen.seq].type, stored[seen.seq].payload):
            yield f"{watched.name} saw {seen} where the log has {stored[seen.seq]}"
            return


def output_follows_on(history: History) -> Iterator[str]:
    """Positions, offsets, lengths and sums of a task's output follow from each other; what is lost is declared."""
    for task_id in history.task_ids:
        for wrong in _Stitched(history.of(task_id)).wrong:
            yield f"{task_id}: {wrong}"


def gaps_have_a_cause(history: History) -> Iterator[str]:
    """Bytes are lost only where a fault destroyed them, and then the event says why."""
    for task_id in history.task_ids:
        gaps = of_type(history.of(task_id), GAP)
        if gaps and task_id not in history.gaps_allowed:
            yield f"{task_id} lost bytes without a cause: {gaps[0]}"
        for gap in gaps:
            if not gap.payload.get("reason"):
                yield f"{task_id} lost bytes and does not say why: {gap}"


def output_is_what_was_written(history: History) -> Iterator[str]:
    """Each stream is byte for byte what the command wrote: all of it, unless a fault excuses that it was cut short."""
    for run in history.runs:
        if run.written is None:
            continue
        stitched = _Stitched(history.of(run.task_id))
        for stream, offset, data in stitched.pieces:
            right = run.written.get(stream, b"")
            if data != right[offset : offset + len(data)]:
                at = next(at for at in range(len(data)) if data[at : at + 1] != right[offset + at : offset + at + 1])
                yield (
                    f"{run.name}: {stream} differs from what was written at {offset + at}: "
                    f"{data[at : at + 40]!r} instead of {right[offset + at : offset + at + 40]!r}"
                )
                break
        missing = sum(map(len, run.written.values())) - sum(len(data) for _, _, data in stitched.pieces)
        lost = sum(to - start for start, to in stitched.gaps)
        if missing != lost and not _is_excused(history, run):
            yield f"{run.name}: {missing} bytes of what was written are not there, and {lost} are said to be lost"


def sums_of_the_end_are_those_of_the_output(history: History) -> Iterator[str]:
    """What the desktop counted at the pipe is what the log holds."""
    for task_id in history.task_ids:
        events = history.of(task_id)
        stitched = _Stitched(events)
        for end in of_type(events, *ENDS):
            for stream, sums in (end.payload.get("streams") or {}).items():
                data = b"".join(piece for name, _, piece in stitched.pieces if name == stream)
                if stitched.gaps:
                    if len(data) > sums["bytes"]:
                        yield f"{task_id}: {stream} has {len(data)} bytes, and its end counts {sums['bytes']}"
                elif sums["bytes"] != len(data) or (
                    stream not in stitched.masked and "sha256" in sums and sums["sha256"] != sha256(data).hexdigest()
                ):
                    yield f"{task_id}: {stream} is not what its end counts: {len(data)} bytes against {sums}"


def progress_is_said_once(history: History) -> Iterator[str]:
    """What an agent does is said once, in the order of its answer; and all of its text is there, and its result."""
    for run in history.runs:
        events = history.of(run.task_id)
        said = [seen.payload for seen in of_type(events, "task.progress")]
        places = [one["upTo"] for one in said]
        if places != sorted(places):
            yield f"{run.name}: its progress goes back: {places}"
        if run.answer is None or _is_excused(history, run):
            continue
        text = "".join(one["text"] for one in said if one["kind"] == "text")
        if text != run.answer:
            yield f"{run.name} answered {len(run.answer)} characters, and its progress says {len(text)}"
        for end in of_type(events, *ENDS)[:1]:
            if (end.payload.get("result") or "").strip() != run.answer.strip():
                yield f"{run.name} has another result than the agent's answer"


def end_is_true(history: History) -> Iterator[str]:
    """Exit code and signal are the command's own, unless a fault or a cancel excuses the end."""
    for run in history.runs:
        ends = of_type(history.of(run.task_id), *ENDS)
        if not ends or _is_excused(history, run):
            continue
        end = ends[0].payload
        if (end.get("exitCode"), end.get("signal")) != (run.code, run.signal):
            yield f"{run.name} ended with {run.code, run.signal}, and its task says {ends[0]}"
        if (end["status"] in ("done", "review")) != (run.code == 0 or run.is_prompt):
            yield f"{run.name} ended with {run.code, run.signal}, and its task is {end['status']}"


def end_comes_after_the_last_byte(history: History) -> Iterator[str]:
    """Nothing of a run comes after its end; only what an unreachable desktop kept comes late, and says so."""
    for task_id in history.task_ids:
        is_over, is_unreachable = False, False
        for seen in history.of(task_id):
            if seen.type in ENDS:
                is_over = True
                is_unreachable = (seen.payload.get("error") or {}).get("code") == "desktop_unreachable"
            elif is_over and seen.type in (OUTPUT, GAP) and not (is_unreachable and seen.payload.get("late")):
                yield f"{task_id} has output after its end: {seen}"
                break


def every_run_ends_once(history: History) -> Iterator[str]:
    """One end of the run, one final event of the task, and nothing in between or after that changes it."""
    for task_id in history.task_ids:
        events = history.of(task_id)
        finals = of_type(events, *FINAL)
        if len(finals) != 1:
            yield f"{task_id} has {len(finals)} final events"
        reviews = len(of_type(events, "task.review"))
        if reviews > 1:
            yield f"{task_id} came into review {reviews} times"


def history_is_a_path(history: History) -> Iterator[str]:
    """Each task's history is a path in the state machine, its versions follow, its phases never go back."""
    for task_id in history.task_ids:
        status, version, phase = None, 0, -1
        for seen in history.of(task_id):
            payload = seen.payload
            if "version" not in payload:
                continue
            version += 1
            if payload["version"] != version:
                yield f"{task_id}: version {payload['version']} where {version} belongs: {seen}"
                break
            becomes = payload.get("status", status)
            if becomes != status and becomes not in NEXT[status]:
                yield f"{task_id} goes from {status} to {becomes}: {seen}"
                break
            status = becomes
            if payload.get("phase"):
                place = PHASES.index(payload["phase"])
                if place < phase:
                    yield f"{task_id} goes back to phase {payload['phase']}: {seen}"
                    break
                phase = place


def nothing_runs_for_ever(history: History) -> Iterator[str]:
    """When everything is over, no task says that it still runs; what REST shows is what the log's events say."""
    for task in history.tasks:
        if task["status"] in ("pending", "running"):
            yield f"{task['id']} still is {task['status']}"
        changes = [seen for seen in history.of(task["id"]) if "status" in seen.payload]
        if changes and changes[-1].payload["status"] != task["status"]:
            yield f"{task['id']} is shown as {task['status']} and its last event is {changes[-1]}"


def nothing_is_left_alive(history: History) -> Iterator[str]:
    """No process of an ended task lives, but those that it names as left running."""
    ends = {seen.task_id: seen.payload for seen in of_type(history.log, *ENDS)}
    for process in history.alive:
        end = ends.get(process.task_id)
        if end is None:
            continue  # another promise: nothing runs for ever
        named = [_pid_of(left) for left in end.get("leftRunning") or ()]
        if process.pid not in named:
            yield f"{process.task_id} has ended, and {process.pid} ({process.command}) of it lives"


def _pid_of(left: Any) -> int:
    """From `{pid, user, command}`, or a sentence that has it."""
    if isinstance(left, dict):
        return left["pid"]
    return next((int(word.strip(":,()")) for word in str(left).split() if word.strip(":,()").isdigit()), 0)


def started_once(history: History) -> Iterator[str]:
    """A command is never started twice, whatever dies around its start; and what has output was started."""
    for run in history.runs:
        if run.starts is None:
            continue
        has_output = bool(of_type(history.of(run.task_id), OUTPUT))
        if run.starts > 1 or (run.starts == 0 and (has_output or not _is_excused(history, run))):
            yield f"{run.name} was started {run.starts} times"


def log_is_sound(history: History) -> Iterator[str]:
    """`mission-control log verify` finds nothing."""
    for problem in history.verify:
        yield f"log verify: {problem}"


VALIDATORS: tuple[Callable[[History], Iterator[str]], ...] = (
    log_is_dense,
    watchers_saw_the_log,
    output_follows_on,
    gaps_have_a_cause,
    output_is_what_was_written,
    sums_of_the_end_are_those_of_the_output,
    progress_is_said_once,
    end_is_true,
    end_comes_after_the_last_byte,
    every_run_ends_once,
    history_is_a_path,
    nothing_runs_for_ever,
    nothing_is_left_alive,
    started_once,
    log_is_sound,
)


def violations(history: History) -> list[str]:
    """Everything that is wrong, with the promise that it breaks."""
    return [f"{promise.__name__}: {wrong}" for promise in VALIDATORS for wrong in promise(history)]


def _is_excused(history: History, run: Run) -> bool:
    ends = of_type(history.of(run.task_id), *ENDS)
    if not ends:
        return False  # another promise
    end = ends[0].payload
    if end["status"] == "cancelled":
        return run.may_be_cancelled
    return (end.get("error") or {}).get("code") in run.may_be_lost


class _Stitched:
    """A task's output put together again from its events; what does not fit is said."""

    def __init__(self, events: list[Seen]) -> None:
        self.pieces: list[tuple[str, int, bytes]] = []
        self.gaps: list[tuple[int, int]] = []
        self.masked: set[str] = set()  # streams of which not every raw byte is recorded
        self.wrong: list[str] = []
        position, offsets, sums = 0, Counter[str](), Counter[str]()
        unsure: set[str] = set()
        for seen in of_type(events, OUTPUT, GAP):
            facts = seen.payload
            if seen.type == GAP:
                if facts["from"] != position or facts["to"] <= facts["from"]:
                    self.wrong.append(f"the gap {facts['from']}-{facts['to']} is said at {position}")
                self.gaps.append((facts["from"], facts["to"]))
                position = facts["to"]
                unsure |= {"stdout", "stderr", "response"}
                continue
            stream, data = facts["stream"], seen.data
            if stream in unsure:  # how the lost bytes were shared out shows when the streams go on
                unsure.discard(stream)
                if facts["offset"] < offsets[stream]:
                    self.wrong.append(f"{stream} goes back from {offsets[stream]} to {facts['offset']}")
                offsets[stream], sums[stream] = facts["offset"], -1
            if facts["position"] != position:
                self.wrong.append(f"position {facts['position']} where {position} belongs: {seen}")
            if facts["offset"] != offsets[stream]:
                self.wrong.append(f"{stream} has offset {facts['offset']} where {offsets[stream]} belongs: {seen}")
            if facts["length"] != len(data):
                self.wrong.append(f"{len(data)} bytes are said to be {facts['length']}: {seen}")
            is_known = (
                sums[stream] >= 0 and "masked" not in facts
            )  # the sum is that of the bytes before they were masked
            if is_known and facts["crc"] != zlib.crc32(data, sums[stream]):
                self.wrong.append(f"the sum of {stream} does not follow: {seen}")
            if self.wrong:
                return
            self.masked |= {stream} if "masked" in facts else set()
            self.pieces.append((stream, facts["offset"], data))
            position += len(data)
            offsets[stream] += len(data)
            sums[stream] = facts["crc"]
        if self.gaps and not unsure and sum(offsets.values()) != position:
            self.wrong.append(f"the streams are at {dict(offsets)}, and the run is at {position}")
