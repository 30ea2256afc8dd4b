"""Changes of named secrets, and what of them a run is given.

A run gets its own sealed copy of each value in the transaction that says that it begins. So a run that is taken up
after a restart is what it was, whatever became of the secret meanwhile, and what it prints is still masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
import anyio.to_thread
import structlog

from ..domain import secrets
from ..domain.entities import Secret, Task
from ..domain.errors import SEAL_KEY_GIVEN, SEAL_KEY_UNUSABLE, Refused
from ..domain.events import Event, SealKeyChanged
from ..domain.masking import Patterns
from ..domain.secrets import NewSecret, SecretEdit
from ..domain.values import SYSTEM, Actor
from ..log.directory import DirectoryUnusable
from ..log.event_log import Statement
from ..log.seal_keys import OLD_VARIABLE, VARIABLE
from ..log.sqlite import SqliteLog
from ..log.vault import NAMED, Vault
from .journal import Journal

_logger = structlog.get_logger(__name__)


class SecretMissing(Exception):
    """A task names a secret that was removed, or that cannot be opened any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The secret {name} was removed, or cannot be opened with this key. Set it again, then retry.")


_KEY_IS_GIVEN = "seal_key_is_given"  # in the table `meta`, where the key is not beside it


async def refuse_forgotten(log: SqliteLog) -> None:
    """Raise DirectoryUnusable where the key was given by the environment, and is not now: a new one would open
    nothing."""
    async with log.snapshot() as snapshot:
        if await snapshot.row("select 1 from meta where name = ?", (_KEY_IS_GIVEN,)):
            raise DirectoryUnusable(
                f"The secrets here are sealed with a key from the environment: give it as {VARIABLE}, or as"
                f" {OLD_VARIABLE} alone to seal them with a key file again."
            )


class Secrets:
    """Commands on named secrets."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self._journal = journal
        self._vault = vault
        self._changing_key = anyio.Lock()

    async def load(self) -> None:
        """Open what is stored, and finish a change of the key; called before anything else.

        Raises DirectoryUnusable when a key was given that opens nothing of what is there.
        """
        rows = await self._stored()
        if closed := self._vault.load(rows):
            if closed == len(rows) and self._vault.is_given:
                raise DirectoryUnusable(
                    f"{VARIABLE} opens none of the {closed} secrets that are stored. Give the key that sealed them; or,"
                    f" to change it, that one as {OLD_VARIABLE}."
                )
            _logger.warning("some secrets do not open with this seal key", closed=closed, of=len(rows))
        try:
            await self._note_whose_key()
            if self._vault.is_changing:
                await self._reseal(SYSTEM)
        except Refused as refused:  # all of them open as it is, and the next start tries again
            _logger.warning("the seal key is not changed yet", reason=str(refused))

    async def _note_whose_key(self) -> None:
        """So that a start without the key that was given is refused: noted before a key file is removed."""
        async with self._journal.log.snapshot() as snapshot:
            is_noted = await snapshot.row("select 1 from meta where name = ?", (_KEY_IS_GIVEN,)) is not None
        if is_noted != self._vault.is_given:
            sql = "delete from meta where name = ?" if is_noted else "insert into meta values (?, '')"
            await self._journal.commit([], SYSTEM, beside=[Statement(sql, (_KEY_IS_GIVEN,))])

    @property
    def patterns(self) -> Patterns:
        """Every secret that this server knows, named or not, as it is to be masked."""
        return self._vault.patterns

    async def create(self, new: NewSecret, actor: Actor) -> Secret:
        """A new secret."""
        state = await self._journal.ready()
        events = secrets.create(new, state.secrets, at=self._journal.now(), actor=actor)
        return await self._set(new.name, new.value, events, actor)

    async def replace(self, name: str, edit: SecretEdit, actor: Actor) -> Secret:
        """Another value for a secret."""
        state = await self._journal.ready()
        events = secrets.replace(state.secrets.get(name), name, edit, at=self._journal.now(), actor=actor)
        return await self._set(name, edit.value, events, actor)

    async def remove(self, name: str, actor: Actor) -> None:
        """Forget a secret and its value."""
        state = await self._journal.ready()
        events = secrets.remove(state.secrets.get(name), name, at=self._journal.now())
        row = Statement("delete from named_secrets where name = ?", (name,))
        await self._commit(name, events, actor, [self._vault.forget(NAMED, name), row])

    async def _set(self, name: str, value: str, events: Iterable[Event], actor: Actor) -> Secret:
        made: list[Secret] = []

        def before_append() -> None:
            made.append(self._journal.state.secrets[name])

        await self._commit(name, events, actor, [self._vault.seal(NAMED, name, value)], before_append)
        return made[0]

    async def _commit(
        self,
        name: str,
        events: Iterable[Event],
        actor: Actor,
        beside: list[Statement],
        before_append: Callable[[], None] = lambda: None,
    ) -> None:
        try:
            await self._journal.commit(events, actor, beside=beside, before_append=before_append)
        except Refused:
            async with self._journal.log.snapshot() as snapshot:
                row = await snapshot.row("select sealed from secrets where owner = ? and name = ?", (NAMED, name))
            self._vault.restore(NAMED, name, row[0] if row else None)
            raise

    # The key that seals.

    async def rotate_key(self, actor: Actor) -> int:
        """Seal everything with a new key, whatever runs meanwhile; how many secrets there were.

        Interrupted at any moment, everything opens with the keys that are there, and the next rotation or the next
        start finishes it. Raises Refused `seal_key_given`, `seal_key_unusable`, `log_unavailable`.
        """
        if self._vault.is_given:
            raise Refused(SEAL_KEY_GIVEN, variable=VARIABLE, old=OLD_VARIABLE)
        async with self._changing_key:
            try:
                await anyio.to_thread.run_sync(self._vault.begin_change)
            except DirectoryUnusable as error:
                raise Refused(SEAL_KEY_UNUSABLE, reason=str(error)) from None
            return await self._reseal(actor)

    async def _reseal(self, actor: Actor) -> int:
        await self._journal.commit([], actor)  # what the key before sealed is on the disk now, or never will be
        statements = self._vault.resealed(await self._stored())
        is_news = bool(statements) or actor != SYSTEM  # a start that finds nothing left to do says nothing
        events = [SealKeyChanged(secrets=len(statements))] if is_news else []
        await self._journal.commit(events, actor, beside=statements)
        try:
            await anyio.to_thread.run_sync(self._vault.end_change)
        except DirectoryUnusable as error:
            raise Refused(SEAL_KEY_UNUSABLE, reason=str(error)) from None
        return len(statements)

    async def _stored(self) -> list[tuple[str, str, bytes]]:
        async with self._journal.log.snapshot() as snapshot:
            return [(row[0], row[1], row[2]) for row in await snapshot.rows("select owner, name, sealed from secrets")]

    # What a run is given.

    def given_to(self, task: Task) -> dict[str, str]:
        """The values that a task gets when it begins now. Raises SecretMissing."""
        return self._values(NAMED, task)

    def of_run(self, task: Task) -> dict[str, str]:
        """The values that a task was given when it began. Raises SecretMissing."""
        return self._values(task.id, task)

    def _values(self, owner: str, task: Task) -> dict[str, str]:
        given: dict[str, str] = {}
        for name in task.secrets:
            value = self._vault.known(owner, name)
            if value is None:
                raise SecretMissing(name)
            given[name] = value
        return given

    async def forget_run(self, task: Task) -> None:
        """Delete what a task was given: nothing of its run is under way any more."""
        if task.secrets:
            await self._journal.commit([], SYSTEM, beside=[self._vault.forget(task.id)])
