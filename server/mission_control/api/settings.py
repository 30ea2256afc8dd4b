"""Settings: what people change at run time."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Settings
from ..domain.settings import SettingsEdit
from .answers import answer, shown
from .routes import body_of
from .services import principal_of, services_of


async def read_settings(request: Request) -> Response:
    """All settings. With `taskApprovalMode` every task needs approval, whatever its own flag says."""
    async with shown(request) as moment:
        row = await moment.snapshot.row("select doc from settings")
    settings = json.decode(row[0], type=Settings) if row else Settings()
    return answer(settings, headers=moment.headers())


async def edit_settings(request: Request) -> Response:
    """Change some settings; the others stay."""
    changes = body_of(request, SettingsEdit)
    return answer(await services_of(request).control.settings.edit(changes, principal_of(request).actor))
