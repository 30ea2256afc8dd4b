"""Secrets at rest: sealed with a key that lies beside the database, not in it and not in its backup.

AES-256-GCM with a random nonce; owner and name are authenticated, so a sealed secret cannot be moved to another place.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .event_log import Statement

KEY_FILE = "seal.key"
NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """A sealed secret does not open with this key file, for example after a restore without it."""


class Vault:
    """Seals and opens secrets with the key file of a data directory."""

    def __init__(self, directory: Path) -> None:
        self._cipher = AESGCM(_key(directory / KEY_FILE))

    def seal(self, owner: str, name: str, secret: str) -> Statement:
        """The statement that stores a secret in place of an older one."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), _place(owner, name))
        return Statement("insert or replace into secrets values (?, ?, ?)", (owner, name, sealed))

    def open(self, owner: str, name: str, sealed: bytes) -> str:
        """The secret again. Raises SecretUnreadable when key file and secret do not belong together."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(owner, name)).decode()
        except InvalidTag:
            raise SecretUnreadable(f"the secret {name} of {owner} was sealed with another key file") from None


def forget(owner: str, name: str | None = None) -> Statement:
    """The statement that deletes a secret, or all of an owner."""
    if name is None:
        return Statement("delete from secrets where owner = ?", (owner,))
    return Statement("delete from secrets where owner = ? and name = ?", (owner, name))


def _place(owner: str, name: str) -> bytes:
    return f"{owner}\0{name}".encode()


def _key(path: Path) -> bytes:
    """Read the key file, or make it: 32 random bytes, readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        key = os.urandom(32)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
