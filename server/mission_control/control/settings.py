"""Changes of what people set at run time."""

from __future__ import annotations

from ..domain import settings
from ..domain.entities import Settings as Values
from ..domain.settings import SettingsEdit
from ..domain.values import Actor
from .journal import Journal


class Settings:
    """Commands on the settings."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def current(self) -> Values:
        """As they are now."""
        return (await self._journal.ready()).settings

    async def edit(self, changes: SettingsEdit, actor: Actor) -> Values:
        """Change some; the others stay."""
        state = await self._journal.ready()
        changed: list[Values] = []
        await self._journal.commit(
            settings.edit(state.settings, changes), actor, before_append=lambda: changed.append(state.settings)
        )
        return changed[0]
