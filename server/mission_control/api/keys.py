"""API keys: shown once when they are made, masked ever after."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Key
from ..domain.keys import NewKey
from .answers import answer, no_content, shown
from .routes import body_of
from .services import principal_of, services_of
from .views import KeyView


async def list_keys(request: Request) -> Response:
    """List the API keys that are not revoked, newest first, masked to their last 4 characters."""
    async with shown(request) as moment:
        rows = await moment.snapshot.rows("select doc from keys order by id desc")
    keys = [key for row in rows if not (key := json.decode(row[0], type=Key)).revoked_at]
    access = services_of(request).control.access
    views = [KeyView.of(key, use=access.keys.last_use(key.id)) for key in keys]
    return answer(views, headers=moment.headers(total=len(views)))


async def create_key(request: Request) -> Response:
    """Make an API key. The answer shows it, this once; so an Idempotency-Key is not kept here."""
    new, actor = body_of(request, NewKey), principal_of(request).actor
    key, secret = await services_of(request).control.access.keys.create(new, actor)
    return answer(KeyView.of(key, secret), 201, {"Location": f"/api/auth/api-keys/{key.id}"})


async def revoke_key(request: Request) -> Response:
    """End a key at once, with its sessions and open streams."""
    principal = principal_of(request)
    await services_of(request).control.access.revoke_key(
        request.path_params["id"], principal.actor, by_owner=principal.kind == "local"
    )
    return no_content()
