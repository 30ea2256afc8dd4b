"""A small history with something of everything, made through the same door as in life."""

from __future__ import annotations

from pathlib import Path

from mission_control.control.door import Control, open_control
from mission_control.domain.desktops import KeyAuth, NewAgent, NewDesktop, NewSsh, Reached
from mission_control.domain.entities import Desktop, HostKey, Task
from mission_control.domain.keys import NewKey
from mission_control.domain.output import OutputCutter, Stream
from mission_control.domain.secrets import NewSecret, SecretEdit
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import SYSTEM, Actor, Error
from mission_control.log.event_log import RunRow
from mission_control.runs.recorder import output_event

ALICE = Actor(id="key_alice", name="Alice")
FINGERPRINT = "SHA256:" + "A" * 43
HOST_KEY = HostKey(type="ed25519", fingerprint=FINGERPRINT, public_key="ssh-ed25519 AAAA")
DONE = RunEnd(exit_code=0, duration_ms=5)
SAID: list[tuple[Stream, bytes]] = [("stdout", b"one\ntwo\n"), ("stderr", b"\xff\0 not text"), ("stdout", b"end")]
FAILED = RunEnd(exit_code=3, error=Error(code="exit_nonzero", message="The command exited with code 3."))


async def running_desktop(control: Control, name: str = "Build 7", *, agent: bool = False) -> Desktop:
    """A desktop that takes tasks."""
    auth = KeyAuth(private_key="secret key", passphrase="secret word")
    new = NewDesktop(
        name=name,
        ssh=NewSsh(host="build-7", username="ci", auth=auth, host_key_fingerprint=FINGERPRINT),
        agent=NewAgent(kind="openai", url="http://127.0.0.1:1/v1", token="secret token") if agent else None,
    )
    desktop = await control.desktops.create(new, [HOST_KEY], ALICE)
    desktop = await control.desktops.started(desktop.id, ip_address=None, reached=Reached(os="linux"))
    return await control.desktops.agent_ready(desktop.id, True) if agent else desktop


async def new_task(control: Control, desktop: Desktop, **given: object) -> Task:
    """A task, pending unless it is to run."""
    facts: dict[str, object] = {"type": "command", "content": "echo hi", "desktop_id": desktop.id}
    (task,) = await control.tasks.create([NewTask(**(facts | given))], ALICE)  # type: ignore[arg-type]
    return task


async def record(control: Control, task: Task, cutter: OutputCutter, said: list[tuple[Stream, bytes]]) -> None:
    """Output of a run, each piece durable before the next is given."""
    for stream, data in said:
        for piece in [*cutter.feed(stream, data, 1), *cutter.finish()]:
            event = output_event(task.id, piece)
            await control.tasks.record(task, [event], RunRow(task.id, cutter.position))


async def finished_task(control: Control, desktop: Desktop, end: RunEnd = DONE, **given: object) -> Task:
    """A task whose run is over, with some output."""
    task = await new_task(control, desktop, run=True, **given)
    await control.tasks.enter_phase(task.id, "starting")
    await control.tasks.enter_phase(task.id, "streaming", executed_at=control.journal.now())
    await record(control, task, OutputCutter(), SAID)
    return await control.tasks.finish(task.id, end)


async def make_history(folder: Path) -> None:
    """Tasks in every status, approvals both ways, a removed desktop, keys, settings; then the server stops."""
    async with open_control(folder) as control:
        desktop = await running_desktop(control, agent=True)
        gone = await running_desktop(control, "Old")
        await finished_task(control, desktop)
        await finished_task(control, desktop, FAILED)
        approved = await finished_task(control, desktop, requires_approval=True)
        await control.tasks.review(approved.id, "approve", None, ALICE)
        rejected = await finished_task(control, desktop, requires_approval=True, type="prompt")
        await control.tasks.review(rejected.id, "reject", "shorter", ALICE, retry=True)
        await finished_task(control, desktop, requires_approval=True)
        await control.settings.edit(SettingsEdit(task_approval_mode=True), ALICE)
        await control.tasks.archive((await finished_task(control, desktop, FAILED)).id, ALICE)
        pending = await new_task(control, gone)
        await control.tasks.note(pending, "Worth knowing.")
        await control.desktops.remove(gone.id, ALICE)
        await new_task(control, desktop, run=True)
        batch = [NewTask(type="command", content="true", desktop_id=desktop.id, run=number < 2) for number in range(3)]
        await control.tasks.create(batch, ALICE, batch=True)
        key, _ = await control.access.keys.create(NewKey(name="ci", role="admin"), SYSTEM)
        for name in ("NPM_TOKEN", "OTHER"):
            await control.secrets.create(NewSecret(name=name, value=f"value of {name}"), ALICE)
        await control.secrets.replace("NPM_TOKEN", SecretEdit(value="another value"), ALICE)
        await control.secrets.remove("OTHER", ALICE)
        await control.access.keys.create(NewKey(name="other", role="viewer"), SYSTEM)
        await control.access.revoke_key(key.id, SYSTEM, by_owner=True)
