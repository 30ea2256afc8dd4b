"""Secrets at rest: sealed with a key that lies beside the database, not in it and not in its backup.

AES-256-GCM with a random nonce; owner and name are authenticated, so a sealed secret cannot be moved to another place.
Opened, all of them are in memory, since whatever a run produces is looked through for them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..domain.masking import Patterns
from .directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from .event_log import Statement
from .sqlite import connected, refuse_newer

KEY_FILE = "seal.key"
NEXT_KEY_FILE = "seal.key.next"  # only while a rotation is under way
KEY_BYTES = 32
NONCE_BYTES = 12
RETIRED_MAX = 100  # values that were replaced or forgotten, and are masked until the server stops

NAMED = "named"
"""The owner of named secrets."""
PUBLIC = frozenset(("certificate",))
"""Names of what is sealed beside a secret, and is none."""
LONG = frozenset(("privateKey",))
"""Names of secrets that no program is given: of them, only whole lines are looked for."""


class SecretUnreadable(Exception):
    """A sealed secret does not open with this key file, for example after a restore without it."""


class Vault:
    """Seals and opens secrets with the key file of a data directory."""

    def __init__(self, directory: Path) -> None:
        self._ciphers = [AESGCM(key) for key in _keys(directory)]  # the first one seals; each may open
        self._known: dict[tuple[str, str], str] = {}
        self._retired: deque[tuple[str, str]] = deque(maxlen=RETIRED_MAX)  # name and value
        self._patterns = Patterns()
        self._looked_for: tuple[set[str], set[str]] = (set(), set())
        self._is_changed = False

    def load(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """Open what is stored, as `owner, name, sealed`. What does not open is not known here."""
        for owner, name, sealed in rows:
            try:
                self._known[owner, name] = self.open(owner, name, sealed)
            except SecretUnreadable:
                continue
        self._is_changed = True

    def restore(self, owner: str, name: str, sealed: bytes | None) -> None:
        """What is stored of a secret counts, since a change of it was refused."""
        self._retire(owner, name)
        if sealed is not None:
            self.load([(owner, name, sealed)])

    def known(self, owner: str, name: str) -> str | None:
        """A secret that was loaded or sealed, and not forgotten."""
        return self._known.get((owner, name))

    @property
    def patterns(self) -> Patterns:
        """Every secret of this server, to be masked wherever something may show it."""
        if self._is_changed:
            self._is_changed = False
            known = ((name, value) for (_, name), value in self._known.items())
            values = [(name, value) for name, value in (*known, *self._retired) if name not in PUBLIC]
            long = {value for name, value in values if name in LONG}
            wanted = {value for name, value in values if name not in LONG}, long
            if wanted != self._looked_for:
                self._looked_for, self._patterns = wanted, Patterns(wanted[0], lines_only=long)
        return self._patterns

    def seal(self, owner: str, name: str, secret: str) -> Statement:
        """The statement that stores a secret in place of an older one."""
        self._retire(owner, name)
        self._known[owner, name] = secret  # masked from now on, whether or not the statement is carried out
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._ciphers[0].encrypt(nonce, secret.encode(), _place(owner, name))
        return Statement("insert or replace into secrets values (?, ?, ?)", (owner, name, sealed))

    def open(self, owner: str, name: str, sealed: bytes) -> str:
        """The secret again. Raises SecretUnreadable when key file and secret do not belong together."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(owner, name)).decode()
            except (InvalidTag, ValueError):  # ValueError: too short to be one
                continue
        raise SecretUnreadable(f"the secret {name} of {owner} was sealed with another key file")

    def forget(self, owner: str, name: str | None = None) -> Statement:
        """The statement that deletes a secret, or all of an owner."""
        for known in [place for place in self._known if place[0] == owner and name in (None, place[1])]:
            self._retire(*known)
        if name is None:
            return Statement("delete from secrets where owner = ?", (owner,))
        return Statement("delete from secrets where owner = ? and name = ?", (owner, name))

    def _retire(self, owner: str, name: str) -> None:
        value = self._known.pop((owner, name), None)
        if value is not None and (name, value) not in self._retired:
            self._retired.append((name, value))
        self._is_changed = True


def begin_rotation(directory: Path) -> None:
    """Make the next key, or find that of a rotation that was interrupted: from now on both open, and it seals.

    Raises DirectoryUnusable.
    """
    _key(directory / NEXT_KEY_FILE)


def reseal(vault: Vault, rows: Iterable[tuple[str, str, bytes]]) -> list[Statement]:
    """The statements that seal with the next key what either opens; what none opens is left as it is."""
    statements: list[Statement] = []
    for owner, name, sealed in rows:
        try:
            statements.append(vault.seal(owner, name, vault.open(owner, name, sealed)))
        except SecretUnreadable:
            continue
    return statements


def end_rotation(directory: Path) -> None:
    """Everything is sealed with the next key and durable: it takes the place of the old one, which is gone."""
    (directory / NEXT_KEY_FILE).replace(directory / KEY_FILE)
    _sync_directory(directory)


async def rotate_key(directory: Path) -> int:
    """Seal all secrets of a data directory, on which no server runs, with a new key; how many there are.

    Whenever it is interrupted, what is sealed opens with one of the keys that are there, and the next rotation or the
    next start of a server finishes it. Raises DirectoryUnusable, NewerSchema.
    """
    path = directory / DATABASE_FILE
    if not path.is_file():
        raise DirectoryUnusable(f"There is no event log in {directory}. Name its directory with --data-dir.")
    with locked_directory(directory):
        _key(directory / KEY_FILE)
        begin_rotation(directory)
        return await finish_rotation(directory)


async def finish_rotation(directory: Path) -> int:
    """Go on with a rotation that has begun, in a directory whose lock is held; how many secrets were sealed anew."""
    vault = Vault(directory)
    async with connected(directory / DATABASE_FILE) as database:
        await refuse_newer(database)
        found = await database.execute_fetchall("select owner, name, sealed from secrets")
        statements = reseal(vault, [(row[0], row[1], row[2]) for row in found])
        for statement in statements:
            await database.execute(statement.sql, statement.parameters)
        await database.commit()
    end_rotation(directory)
    return len(statements)


def is_rotating(directory: Path) -> bool:
    """Whether a rotation has begun and not ended."""
    return (directory / NEXT_KEY_FILE).exists()


def _place(owner: str, name: str) -> bytes:
    return f"{owner}\0{name}".encode()


def _keys(directory: Path) -> list[bytes]:
    """The keys of a directory, that which seals first. While a rotation is under way there are two."""
    keys = [_key(directory / KEY_FILE)]
    if is_rotating(directory):
        keys.insert(0, _key(directory / NEXT_KEY_FILE))
    return keys


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
