"""Everything that can change, in one place."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from ..domain.errors import Refused
from ..log.sqlite import SqliteLog, open_sqlite_log
from ..log.vault import Vault, finish_rotation, is_rotating
from .access import Access
from .desktops import Desktops
from .journal import Journal, open_journal
from .secrets import Secrets
from .settings import Settings
from .tasks import Tasks

_logger = structlog.get_logger(__name__)


class Control(NamedTuple):
    """The door for changes, by what they change."""

    log: SqliteLog
    journal: Journal
    tasks: Tasks
    desktops: Desktops
    secrets: Secrets
    settings: Settings
    access: Access


@asynccontextmanager
async def open_control(
    directory: Path,
    *,
    free_bytes: Callable[[], int] | None = None,
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> AsyncGenerator[Control]:
    """Open the log of a data directory (whose lock is held) and what is decided on top of it.

    `free_bytes` tells how much room the disk has, where that is not the file system's to say.
    """
    if is_rotating(directory):  # it was interrupted
        await finish_rotation(directory)
    vault = Vault(directory)
    async with open_sqlite_log(directory, clock_us=clock_us, free_bytes=free_bytes) as log:
        journal = open_journal(log, clock_us)
        access = Access(journal)
        await access.load()
        secrets = Secrets(journal, vault)
        await secrets.load()
        tasks = Tasks(journal, vault)
        try:
            await tasks.finish_removals()
        except Refused as refused:
            _logger.warning("removed output is not cleared yet", reason=str(refused))
        try:
            yield Control(
                log=log,
                journal=journal,
                tasks=tasks,
                desktops=Desktops(journal, vault),
                secrets=secrets,
                settings=Settings(journal),
                access=access,
            )
        finally:
            access.close()
