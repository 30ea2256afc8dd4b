"""Secrets at rest: sealed with a key that is not in the database, and not in its backup.

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
from .event_log import Statement
from .seal_keys import FROM_FILE, Given, begin_change, end_change, is_changing, read_keys

NONCE_BYTES = 12
RETIRED_MAX = 100  # values that were replaced or forgotten, and are masked until the server stops

NAMED = "named"
"""The owner of named secrets."""
PUBLIC = frozenset(("certificate",))
"""Names of what is sealed beside a secret, and is none."""
LONG = frozenset(("privateKey",))
"""Names of secrets that no program is given: of them, only whole lines are looked for."""

_RESEAL = "update secrets set sealed = ? where owner = ? and name = ? and sealed = ?"


class SecretUnreadable(Exception):
    """A sealed secret does not open with this key, for example after a restore without it."""


class Vault:
    """Seals and opens secrets with the key of a data directory."""

    def __init__(self, directory: Path, given: Given = FROM_FILE) -> None:
        self._directory = directory
        self._given = given
        self._ciphers = [AESGCM(key) for key in read_keys(directory, given)]  # the first one seals; each may open
        self._known: dict[tuple[str, str], str] = {}
        self._retired: deque[tuple[str, str]] = deque(maxlen=RETIRED_MAX)  # name and value
        self._patterns = Patterns()
        self._looked_for: tuple[set[str], set[str]] = (set(), set())
        self._is_changed = False

    def load(self, rows: Iterable[tuple[str, str, bytes]]) -> int:
        """Open what is stored, as `owner, name, sealed`. What does not open is not known here; how many those are."""
        closed = 0
        for owner, name, sealed in rows:
            try:
                self._known[owner, name] = self.open(owner, name, sealed)
            except SecretUnreadable:
                closed += 1
        self._is_changed = True
        return closed

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
        """The statement that stores a secret in place of an older one.

        It is given to the log before the next await: a change of the key waits for what was given before.
        """
        self._retire(owner, name)
        self._known[owner, name] = secret  # masked from now on, whether or not the statement is carried out
        return Statement(
            "insert or replace into secrets values (?, ?, ?)", (owner, name, self._seal(owner, name, secret))
        )

    def open(self, owner: str, name: str, sealed: bytes) -> str:
        """The secret again. Raises SecretUnreadable when key and secret do not belong together."""
        return self._open(owner, name, sealed)[0]

    def _seal(self, owner: str, name: str, secret: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), _place(owner, name))

    def _open(self, owner: str, name: str, sealed: bytes) -> tuple[str, AESGCM]:
        for cipher in self._ciphers:
            try:
                opened = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(owner, name))
            except (InvalidTag, ValueError):  # ValueError: too short to be one
                continue
            return opened.decode(), cipher
        raise SecretUnreadable(f"the secret {name} of {owner} was sealed with another key")

    def forget(self, owner: str, name: str | None = None) -> Statement:
        """The statement that deletes a secret, or all of an owner."""
        for known in [place for place in self._known if place[0] == owner and name in (None, place[1])]:
            self._retire(*known)
        if name is None:
            return Statement("delete from secrets where owner = ?", (owner,))
        return Statement("delete from secrets where owner = ? and name = ?", (owner, name))

    # Changing the key. Whatever is interrupted, what is sealed opens with one of the keys that are there.

    @property
    def is_given(self) -> bool:
        """Whether the key comes from the environment, which only whoever starts the server can change."""
        return self._given.key is not None

    @property
    def is_changing(self) -> bool:
        """Whether there are other keys beside that which seals."""
        return is_changing(self._directory, self._given)

    def begin_change(self) -> None:
        """From now on a new key seals, or that of a change that was interrupted. Raises DirectoryUnusable."""
        begin_change(self._directory)
        key = read_keys(self._directory, self._given)[0]
        self._ciphers.insert(0, AESGCM(key))  # the others still open what is read meanwhile

    def resealed(self, rows: Iterable[tuple[str, str, bytes]]) -> list[Statement]:
        """The statements that seal with the key that seals what another one opens, where it is still what it was.

        What none opens is left as it is.
        """
        statements: list[Statement] = []
        for owner, name, sealed in rows:
            try:
                secret, cipher = self._open(owner, name, sealed)
            except SecretUnreadable:
                continue
            if cipher is not self._ciphers[0]:
                parameters = (self._seal(owner, name, secret), owner, name, sealed)
                statements.append(Statement(_RESEAL, parameters))
        return statements

    def end_change(self) -> None:
        """What was sealed anew is durable: the keys before are removed. Raises DirectoryUnusable."""
        end_change(self._directory, self._given)

    def _retire(self, owner: str, name: str) -> None:
        value = self._known.pop((owner, name), None)
        if value is not None and (name, value) not in self._retired:
            self._retired.append((name, value))
        self._is_changed = True


def _place(owner: str, name: str) -> bytes:
    return f"{owner}\0{name}".encode()
