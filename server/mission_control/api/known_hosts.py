"""Known hosts: authorities that are trusted for all desktops, and keys that are revoked for them."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.entities import KnownHost
from ..domain.errors import invalid
from ..domain.known_hosts import NewKnownHost
from ..runs.connection import fingerprint
from .answers import answer, no_content, shown
from .routes import body_of
from .services import principal_of, services_of


async def list_known_hosts(request: Request) -> Response:
    """List what holds for the whole fleet, oldest first. What a desktop trusts for itself stands with the desktop."""
    async with shown(request) as moment:
        rows = await moment.snapshot.rows("select doc from known_hosts order by id")
    known = [json.decode(row[0], type=KnownHost) for row in rows]
    return answer(known, headers=moment.headers(total=len(known)))


async def add_known_host(request: Request) -> Response:
    """Trust an authority for all desktops whose host matches (`cert-authority`), or trust a key no more (`revoked`).

    A desktop with a confirmed key or an authority of its own goes on by that; a revoked key counts for no desktop.
    """
    new, actor = body_of(request, NewKnownHost), principal_of(request).actor
    try:
        fingerprint(new.public_key)
    except ValueError:  # before it stands in the way of every desktop that matches
        raise invalid("/publicKey", "is not a public key as in a .pub file without its comment") from None
    known = await services_of(request).control.known_hosts.add(new, actor)
    return answer(known, 201, {"Location": f"/api/mission-control/known-hosts/{known.id}"})


async def remove_known_host(request: Request) -> Response:
    """Take it back. Desktops that were trusted only by it are pending until a host key is confirmed."""
    await services_of(request).control.known_hosts.remove(request.path_params["id"], principal_of(request).actor)
    return no_content()
