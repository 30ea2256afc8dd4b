"""Named secrets: values go in and never come out again."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import Secret
from ..domain.secrets import NewSecret, SecretEdit
from .answers import answer, no_content, shown
from .routes import body_of
from .services import principal_of, services_of
from .views import KeyChangeView


async def list_secrets(request: Request) -> Response:
    """List the named secrets by name: who made and changed them, and when; never any part of a value."""
    async with shown(request) as moment:
        rows = await moment.snapshot.rows("select doc from named_secrets order by name")
    secrets = [json.decode(row[0], type=Secret) for row in rows]
    return answer(secrets, headers=moment.headers(total=len(secrets)))


async def create_secret(request: Request) -> Response:
    """Keep a secret under a name, for tasks to ask for. Its value is sealed, and masked wherever a run shows it."""
    new, actor = body_of(request, NewSecret), principal_of(request).actor
    secret = await services_of(request).control.secrets.create(new, actor)
    return answer(secret, 201, {"Location": f"/api/mission-control/secrets/{secret.name}"})


async def replace_secret(request: Request) -> Response:
    """Give a secret another value. Runs that have begun keep the one that they were given; both are masked."""
    edit, actor = body_of(request, SecretEdit), principal_of(request).actor
    return answer(await services_of(request).control.secrets.replace(request.path_params["name"], edit, actor))


async def remove_secret(request: Request) -> Response:
    """Forget a secret and its value. Tasks that name it fail with `secret_missing` when they are to begin."""
    await services_of(request).control.secrets.remove(request.path_params["name"], principal_of(request).actor)
    return no_content()


async def rotate_seal_key(request: Request) -> Response:
    """Seal every secret with a new key, which takes the place of the one in `seal.key`. Tasks go on undisturbed."""
    count = await services_of(request).control.secrets.rotate_key(principal_of(request).actor)
    return answer(KeyChangeView(secrets=count))
