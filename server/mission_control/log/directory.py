"""The data directory: its permissions, and its lock for the life of the one process that writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_FILE = "lock"
DATABASE_FILE = "mission-control.db"


class DirectoryUnusable(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@contextmanager
def locked_directory(directory: Path) -> Generator[Path]:
    """Make the directory (0700) if needed, and hold its lock.

    Raises DirectoryUnusable when it cannot be written, or when another process holds it (the message names it).
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DirectoryUnusable(
            f"The data directory {directory} cannot be written: {error.strerror}. Choose another with --data-dir."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "another process"
            raise DirectoryUnusable(
                f"The data directory {directory} is in use by {holder}. "
                "Stop it first, or choose another with --data-dir."
            ) from None
        except OSError as error:
            raise DirectoryUnusable(
                f"The data directory {directory} cannot be locked: {error.strerror}. "
                "Choose one on a local disk with --data-dir."
            ) from None
        with suppress(OSError):  # only tells others who holds it; a full disk is the log's to judge
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
        yield directory
    finally:
        os.close(descriptor)
