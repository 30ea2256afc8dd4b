"""Everything that can change, in one place."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from ..domain.errors import Refused
from ..log.directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from ..log.seal_keys import FROM_FILE, Given, is_missing
from ..log.sqlite import SqliteLog, open_sqlite_log
from ..log.vault import Vault
from .access import Access
from .desktops import Desktops
from .journal import Journal, open_journal
from .known_hosts import KnownHosts
from .principals import LOCAL
from .secrets import Secrets, refuse_forgotten
from .settings import Settings
from .tasks import Tasks

_logger = structlog.get_logger(__name__)


class Control(NamedTuple):
    """The door for changes, by what they change."""

    log: SqliteLog
    journal: Journal
    tasks: Tasks
    desktops: Desktops
    known_hosts: KnownHosts
    secrets: Secrets
    settings: Settings
    access: Access


@asynccontextmanager
async def open_control(
    directory: Path,
    *,
    seal_keys: Given = FROM_FILE,
    free_bytes: Callable[[], int] | None = None,
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> AsyncGenerator[Control]:
    """Open the log of a data directory (whose lock is held) and what is decided on top of it.

    `seal_keys` are those of the environment; `free_bytes` tells how much room the disk has, where that is not the file
    system's to say. Raises DirectoryUnusable, NewerSchema.
    """
    async with open_sqlite_log(directory, clock_us=clock_us, free_bytes=free_bytes) as log:
        if is_missing(directory, seal_keys):
            await refuse_forgotten(log)
        vault = Vault(directory, seal_keys)
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
                known_hosts=KnownHosts(journal),
                secrets=secrets,
                settings=Settings(journal),
                access=access,
            )
        finally:
            access.close()


async def rotate_key(directory: Path) -> int:
    """Change the key file of a data directory on which no server runs; how many secrets were sealed anew.

    Raises DirectoryUnusable, NewerSchema, Refused.
    """
    if not (directory / DATABASE_FILE).is_file():
        raise DirectoryUnusable(f"There is no event log in {directory}. Name its directory with --data-dir.")
    refused: Refused | None = None
    count = 0
    with locked_directory(directory):
        async with open_control(directory) as control:
            try:
                count = await control.secrets.rotate_key(LOCAL.actor)
            except Refused as error:  # raised in there, it would come out in a group
                refused = error
    if refused:
        raise refused
    return count
