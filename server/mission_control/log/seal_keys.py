"""The keys that seal secrets: of a file beside the database, or given by the environment. One seals; others may open.

There are others while the key is being changed: `seal.key.next` beside `seal.key`, or an old key beside a given one.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import NamedTuple

from .directory import DirectoryUnusable

KEY_FILE = "seal.key"
NEXT_KEY_FILE = "seal.key.next"  # only while the key in the file is being changed
KEY_BYTES = 32
VARIABLE = "MISSION_CONTROL_SEAL_KEY"
OLD_VARIABLE = "MISSION_CONTROL_SEAL_KEY_OLD"


class Given(NamedTuple):
    """The keys of the environment: that which seals instead of the file, and one that opens what it sealed before."""

    key: bytes | None = None
    old: bytes | None = None

    def __repr__(self) -> str:
        return "Given(<secret>)"


FROM_FILE = Given()


def take_given(environment: MutableMapping[str, str] = os.environ) -> Given:
    """Take the keys out of the environment, so that no child process and no `ps e` has them.

    Raises DirectoryUnusable for one that is malformed; the message does not show it.
    """
    found = {name: environment.get(name) for name in (VARIABLE, OLD_VARIABLE)}
    for name, text in found.items():
        if text is not None:
            if environment is os.environ:
                _erase(name, len(os.fsencode(text)))
            del environment[name]
    return Given(*(_decoded(name, text) for name, text in found.items()))


def _erase(name: str, size: int) -> None:
    """Overwrite a variable where the process got it: unset, it would still stand in /proc/PID/environ."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    if at := getenv(name.encode()):
        ctypes.memset(at, 0, size)


def _decoded(name: str, text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise DirectoryUnusable(
            f"{name} is not a key: it is {KEY_BYTES} random bytes in base64, as `openssl rand -base64 {KEY_BYTES}`"
            " prints them."
        )
    return key


def read_keys(directory: Path, given: Given = FROM_FILE) -> list[bytes]:
    """The keys of a directory, that which seals first. Without a given one the key file is made where there is none.

    Raises DirectoryUnusable.
    """
    if given.key is None:
        keys = [_key(directory / KEY_FILE)]
        if (directory / NEXT_KEY_FILE).exists():
            keys.insert(0, _key(directory / NEXT_KEY_FILE))
    else:
        files = (directory / NEXT_KEY_FILE, directory / KEY_FILE)
        keys = [given.key, *(_key(file) for file in files if file.exists())]
    return keys if given.old is None else [*keys, given.old]


def is_missing(directory: Path, given: Given = FROM_FILE) -> bool:
    """Whether there is no key, so that a file with a new one will be made."""
    return given == FROM_FILE and not (directory / KEY_FILE).exists()


def is_changing(directory: Path, given: Given = FROM_FILE) -> bool:
    """Whether there are keys beside that which seals: what they sealed is to be sealed anew."""
    is_replaced = given.key is not None and (directory / KEY_FILE).exists()
    return is_replaced or given.old is not None or (directory / NEXT_KEY_FILE).exists()


def begin_change(directory: Path) -> None:
    """Make the next key, or find that of a change that was interrupted: from now on both open, and it seals.

    Raises DirectoryUnusable.
    """
    _key(directory / NEXT_KEY_FILE)


def end_change(directory: Path, given: Given = FROM_FILE) -> None:
    """Everything is sealed with the key that seals, and durable: those before it are gone. Raises DirectoryUnusable."""
    key, next_key = directory / KEY_FILE, directory / NEXT_KEY_FILE
    try:
        if given.key is not None:
            next_key.unlink(missing_ok=True)
            key.unlink(missing_ok=True)
        elif next_key.exists():
            next_key.replace(key)
        _sync_directory(directory)
    except OSError as error:
        raise DirectoryUnusable(f"The key file {key} cannot be replaced: {error.strerror}.") from None


def _key(path: Path) -> bytes:
    """Read the key file, or make it: 32 random bytes, readable by its owner only.

    It gets its name when it is whole and durable, so that no crash leaves half a key, or secrets without their key.
    Raises DirectoryUnusable.
    """
    try:
        if not path.exists():
            unfinished = path.with_name("seal.new")
            unfinished.unlink(missing_ok=True)
            descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            _sync_directory(path.parent)
        key = path.read_bytes()
    except OSError as error:
        raise DirectoryUnusable(f"The key file {path} cannot be made or read: {error.strerror}.") from None
    if len(key) != KEY_BYTES:
        raise DirectoryUnusable(f"The key file {path} is damaged: it has {len(key)} bytes. Restore it from a copy.")
    return key


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
