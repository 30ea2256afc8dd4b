"""Tasks, desktops, approvals and keys as tables and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..domain.entities import Approval, Desktop, Key, KnownHost, Secret, Task
from ..domain.values import Time
from .client import decoded
from .connection import Connection, open_client
from .render import (
    Cell,
    Column,
    ago,
    duration,
    duration_cell,
    now_us,
    print_facts,
    print_json,
    print_table,
    shortened,
    status_cell,
    time_cell,
)

T = TypeVar("T")


def print_listed(
    server: Connection, path: str, kind: type[T], print_them: Callable[[Sequence[T]], None], *, json: bool
) -> None:
    """What a path lists, all of it in one answer: as it came, or as a table."""
    with open_client(server) as client:
        answer = client.get(path)
    if json:
        print_json(answer)
    else:
        print_them(decoded(answer, list[kind]))


def words_of(task: Task) -> str:
    """What a task is about, on one line."""
    return shortened(task.title or task.content)


def print_tasks(tasks: Sequence[Task], desktops: Mapping[str, str]) -> None:
    now = now_us()
    columns = [
        Column("ID"),
        Column("STATUS"),
        Column("TYPE", optional=4),
        Column("DESKTOP", optional=1),
        Column("CREATED", optional=2),
        Column("TOOK", right=True, optional=3),
        Column("WHAT", flexible=True),
    ]
    rows = [
        [
            Cell(task.id, "bold"),
            status_cell(task.status),
            Cell(task.type),
            Cell(desktops.get(task.desktop_id, task.desktop_id)),
            time_cell(task.created_at, now),
            duration_cell(task.duration_ms),
            Cell(words_of(task)),
        ]
        for task in tasks
    ]
    print_table(columns, rows, empty="No tasks. Create one: mission-control tasks create command 'uname -a' -d DESKTOP")


def print_task(task: Task, desktops: Mapping[str, str]) -> None:
    now = now_us()
    how = " ".join(
        [
            *([f"exit code {task.exit_code}"] if task.exit_code is not None else []),
            *([f"signal {task.signal}"] if task.signal else []),
        ]
    )
    error = f"{task.error.message} ({task.error.code})" if task.error else ""
    usage = f"{task.usage.total_tokens} tokens" if task.usage else ""
    print_facts(
        [
            ("id", Cell(task.id)),
            ("title", Cell(task.title or "")),
            ("status", status_cell(task.status)),
            ("phase", Cell(task.phase or "")),
            ("ended with", Cell(how)),
            ("error", Cell(error, "red")),
            ("took", Cell(duration(task.duration_ms))),
            ("tokens", Cell(usage)),
            ("desktop", Cell(f"{desktops.get(task.desktop_id, '')} ({task.desktop_id})")),
            ("created", Cell(_moment(task.created_at, now) + f" by {task.created_by.name}")),
            ("started", Cell(_moment(task.started_at, now))),
            ("completed", Cell(_moment(task.completed_at, now))),
            ("cancel wanted", Cell(_moment(task.cancel_requested_at, now) if task.status == "running" else "")),
            ("needs approval", Cell("yes" if task.requires_approval else "")),
            ("feedback", Cell(task.feedback or "")),
            ("labels", Cell(", ".join(task.labels))),
            ("folder", Cell(task.cwd or "")),
            ("variables", Cell(" ".join(f"{name}={value}" for name, value in task.env.items()))),
            ("timeout", Cell(duration(task.timeout_seconds * 1000) if task.timeout_seconds else "")),
            ("retry of", Cell(task.retry_of or "")),
            ("batch", Cell(task.batch_id or "")),
            (task.type, Cell(shortened(task.content, 2000))),
            ("result", Cell(shortened(task.result or "", 2000))),
        ]
    )


def _moment(at: str | None, now: int) -> str:
    return f"{ago(at, now)} ({at})" if at else ""


def print_desktops(desktops: Sequence[Desktop]) -> None:
    now = now_us()
    columns = [
        Column("ID"),
        Column("NAME"),
        Column("STATUS"),
        Column("AGENT", optional=2),
        Column("SEEN", optional=3),
        Column("ADDRESS", optional=1),
        Column("ABOUT", flexible=True),
    ]
    rows = [
        [
            Cell(desktop.id, "bold"),
            Cell(desktop.name),
            status_cell(desktop.status),
            Cell(*_agent(desktop)),
            time_cell(desktop.last_seen_at, now),
            Cell(address_of(desktop)),
            Cell(_about(desktop), "red" if desktop.error else "dim"),
        ]
        for desktop in desktops
    ]
    print_table(columns, rows, empty="No desktops. Add one: mission-control desktops add user@host")


def address_of(desktop: Desktop) -> str:
    """`user@host:port` as far as they are known."""
    ssh = desktop.ssh
    host = f"[{ssh.host}]" if ":" in ssh.host else ssh.host
    return f"{f'{ssh.username}@' if ssh.username else ''}{host}{f':{ssh.port}' if ssh.port != 22 else ''}"


def _agent(desktop: Desktop) -> tuple[str, str]:
    if desktop.agent is None:
        return "", ""
    return ("ready", "green") if desktop.agent_ready else ("not ready", "yellow")


def _about(desktop: Desktop) -> str:
    if desktop.error:
        return desktop.error.message
    if desktop.status == "pending":
        return "its host key waits for confirmation"
    if desktop.status == "running" and desktop.link != "up":
        return "reconnecting"
    return " ".join(desktop.labels)


def print_approvals(approvals: Sequence[Approval], tasks: Mapping[str, Task], desktops: Mapping[str, str]) -> None:
    now = now_us()
    columns = [
        Column("ID"),
        Column("TASK", optional=5),
        Column("STATUS"),
        Column("DESKTOP", optional=1),
        Column("CREATED", optional=3),
        Column("BY", optional=4),
        Column("WHAT", flexible=True),
    ]
    styles = {"pending": "magenta", "approved": "green", "rejected": "red"}
    rows = [
        [
            Cell(approval.id, "bold"),
            Cell(approval.task_id),
            Cell(approval.status, styles[approval.status]),
            Cell(desktops.get(approval.desktop_id, approval.desktop_id)),
            time_cell(approval.created_at, now),
            Cell(approval.resolved_by.name if approval.resolved_by else ""),
            Cell(
                words_of(tasks[approval.task_id]) if approval.task_id in tasks else shortened(approval.feedback or "")
            ),
        ]
        for approval in approvals
    ]
    print_table(columns, rows, empty="Nothing waits for approval.")


class UsedKey(Key, frozen=True, kw_only=True):
    """A key as the API lists it: with its last use."""

    last_used_at: Time | None = None


def print_secrets(secrets: Sequence[Secret]) -> None:
    now = now_us()
    columns = [
        Column("NAME"),
        Column("CHANGED", optional=1),
        Column("BY", flexible=True),
        Column("CREATED", optional=2),
    ]
    rows = [
        [
            Cell(secret.name, "bold"),
            time_cell(secret.updated_at, now),
            Cell(secret.updated_by.name),
            time_cell(secret.created_at, now),
        ]
        for secret in secrets
    ]
    print_table(columns, rows, empty="No secrets. Set one: mission-control secrets set NAME")


def print_known_hosts(known: Sequence[KnownHost]) -> None:
    columns = [
        Column("ID"),
        Column("MARKER"),
        Column("HOSTS", flexible=True),
        Column("KEY", optional=1),
        Column("BY", optional=2),
    ]
    rows = [
        [
            Cell(one.id),
            Cell(f"@{one.marker}", "bold"),
            Cell(",".join(one.hosts)),
            Cell(one.fingerprint),
            Cell(one.created_by.name),
        ]
        for one in known
    ]
    print_table(
        columns, rows, empty="No known hosts. Add one: mission-control known-hosts add HOSTS --authority ca.pub"
    )


def print_keys(keys: Sequence[UsedKey]) -> None:
    now = now_us()
    columns = [
        Column("ID"),
        Column("NAME", flexible=True),
        Column("ROLE"),
        Column("DESKTOPS", optional=2),
        Column("KEY", optional=4),
        Column("CREATED", optional=5),
        Column("USED", optional=3),
        Column("EXPIRES", optional=1),
    ]
    rows = [
        [
            Cell(key.id, "bold"),
            Cell(key.name),
            Cell(key.role),
            Cell(", ".join(key.desktop_labels) or "all", plain=",".join(key.desktop_labels)),
            Cell(f"…{key.last4}", "dim"),
            time_cell(key.created_at, now),
            time_cell(key.last_used_at, now),
            time_cell(key.expires_at, now),
        ]
        for key in keys
    ]
    print_table(columns, rows, empty="No keys. Make one: mission-control keys create NAME --role operator")
