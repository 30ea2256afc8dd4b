"""Tasks, desktops and keys for tests of the rules: what does not matter has a default."""

from __future__ import annotations

from typing import Any

from mission_control.domain import desktops, keys, tasks
from mission_control.domain.desktops import AgentAuth, NewDesktop, NewSsh
from mission_control.domain.entities import Desktop, HostKey, Key, Task, TaskStatus
from mission_control.domain.events import Event
from mission_control.domain.fold import State
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import Actor, Error, Role

ALICE = Actor(id="key_alice", name="Alice")
FINGERPRINT = "SHA256:" + "A" * 43
OTHER_FINGERPRINT = "SHA256:" + "B" * 43
HOST_KEY = HostKey(type="ed25519", fingerprint=FINGERPRINT, public_key="ssh-ed25519 AAAA")
OTHER_HOST_KEY = HostKey(type="rsa", fingerprint=OTHER_FINGERPRINT, public_key="ssh-rsa BBBB")
FAILED = RunEnd(exit_code=3, error=Error(code="exit_nonzero", message="The command exited with code 3."))
DONE = RunEnd(exit_code=0, duration_ms=12)


def at(second: int) -> str:
    """A time; later seconds are later."""
    return f"2026-03-01T12:{second // 60:02}:{second % 60:02}.000000Z"


def folded(events: list[Event], state: State | None = None) -> State:
    """What exists after some events."""
    state = state or State()
    for event in events:
        state.apply(event)
    return state


def new_task(**given: Any) -> NewTask:
    defaults: dict[str, Any] = {"type": "command", "content": "echo hi", "desktop_id": "desk_1"}
    return NewTask(**(defaults | given))


def created(**given: Any) -> list[Event]:
    return tasks.create(new_task(**given), id="task_1", at=at(0), actor=ALICE)


def finish(task: Task, end: RunEnd = DONE, *, approval_mode: bool = False) -> list[Event]:
    return tasks.finish(task, end, at=at(9), approval_mode=approval_mode, approval_id="appr_1")


def task_that_is(status: TaskStatus, **given: Any) -> Task:
    """A task on the usual way to a status."""
    state = folded(created(**given))

    def task() -> Task:
        return state.tasks["task_1"]

    if status == "cancelled":
        folded(tasks.cancel(task(), at=at(1)), state)
    elif status != "pending":
        folded(tasks.run(task(), at=at(1)), state)
        if status != "running":
            end = FAILED if status == "failed" else DONE
            folded(finish(task(), end, approval_mode=status == "review"), state)
    assert task().status == status
    return task()


def desktop_that_is(status: str = "running", **given: Any) -> Desktop:
    """A desktop whose host key is confirmed, unless it is pending."""
    ssh = NewSsh(
        host="build-7",
        username="ci",
        auth=given.pop("auth", AgentAuth()),
        host_key_fingerprint=None if status == "pending" else FINGERPRINT,
    )
    new = NewDesktop(name="Build 7", ssh=ssh, **given)
    state = folded(desktops.create(new, id="desk_1", at=at(0), offered=[HOST_KEY, OTHER_HOST_KEY]))

    def desktop() -> Desktop:
        return state.desktops["desk_1"]

    if status in ("running", "stopped"):
        events = desktops.started(desktop(), at=at(1), ip_address="10.0.0.7", reached=desktops.Reached(os="linux"))
        folded(events, state)
    if status == "stopped":
        folded(desktops.stop(desktop()), state)
    if status == "error":
        folded(desktops.failed(desktop(), Error(code="refused", message="No."), next_try_at=None), state)
    assert desktop().status == status
    return desktop()


def key(id: str = "key_1", role: Role = "admin", *, expires_at: str | None = None, revoked: bool = False) -> Key:
    new = keys.NewKey(name=id, role=role, expires_at=expires_at)
    state = folded(keys.create(new, id=id, secret=keys.key_text(bytes(32)), at=at(0)))
    if revoked:
        folded(keys.revoke(state.keys[id], id, [], at=at(1), by_owner=True), state)
    return state.keys[id]
