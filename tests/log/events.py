"""Events for tests of the log: small, told apart by their text, of one run or of none."""

from __future__ import annotations

import zlib

from mission_control.domain.entities import Settings
from mission_control.domain.events import Event, SettingsUpdated, TaskNote, TaskOutput, decode_event
from mission_control.domain.values import SYSTEM
from mission_control.log.event_log import Batch, StoredEvent


def note(text: str, *, task: str = "task_1", desktop: str = "desk_1") -> TaskNote:
    return TaskNote(task_id=task, desktop_id=desktop, text=text)


def output(text: str, *, task: str = "task_1") -> TaskOutput:
    data = text.encode()
    return TaskOutput(
        task_id=task,
        stream="stdout",
        position=0,
        offset=0,
        length=len(data),
        line=0,
        ms=0,
        crc=zlib.crc32(data),
        text=text,
    )


def changed_settings() -> SettingsUpdated:
    return SettingsUpdated(**{name: getattr(Settings(), name) for name in Settings.__struct_fields__})


def of_state(*events: Event) -> Batch:
    return Batch(events=events, actor=SYSTEM)


def of_run(run: str, *texts: str) -> Batch:
    return Batch(
        events=tuple(output(text, task=run) for text in texts), actor=SYSTEM, run=run, desktop_id=f"desk_of_{run}"
    )


def text_of(stored: StoredEvent) -> str:
    assert stored.body is not None
    event = decode_event(stored.type, stored.body)
    assert isinstance(event, TaskNote | TaskOutput)
    return str(event.text)
