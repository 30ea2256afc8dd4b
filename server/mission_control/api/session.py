"""Signing in: a browser's session, by key or one-time link, and who one is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..control.access import SESSION_SECONDS, Principal
from ..domain.errors import LINK_INVALID, LOCAL_ONLY, UNAUTHORIZED, Refused, invalid
from .answers import answer, no_content
from .auth import cookie_name, count_wrong_key
from .routes import body_of
from .services import Services, principal_of, services_of
from .views import Me, SignIn, SignInLink


async def sign_in(request: Request) -> Response:
    """Begin a browser session with an API key or the token of a one-time link; the answer sets its cookie."""
    services, given = services_of(request), body_of(request, SignIn)
    if (given.key is None) == (given.link is None):
        raise invalid("/key", "is needed, or link instead")
    signed_in = await services.control.access.sign_in(key=given.key, link=given.link)
    if signed_in is None:
        count_wrong_key(request)
        raise Refused(UNAUTHORIZED if given.link is None else LINK_INVALID)
    token, principal = signed_in
    response = answer(_me(services, principal), 201)
    response.set_cookie(
        cookie_name(services), token, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=services.tls
    )
    return response


async def sign_out(request: Request) -> Response:
    """End the browser session at once, with its open streams."""
    services, principal = services_of(request), principal_of(request)
    if principal.kind == "session":
        await services.control.access.sign_out(principal)
    response = no_content()
    response.delete_cookie(cookie_name(services), httponly=True, samesite="lax", secure=services.tls)
    return response


async def make_link(request: Request) -> Response:
    """Make a link that signs in as admin, once, within ten minutes. Only through the local administration socket."""
    services = services_of(request)
    if principal_of(request).kind != "local":
        raise Refused(LOCAL_ONLY)
    token = services.control.access.make_link()
    return answer(SignInLink(url=f"{services.url}/#signin={token}", token=token), 201)


async def me(request: Request) -> Response:
    """Who I am here, and which server and log this is."""
    return answer(_me(services_of(request), principal_of(request)))


def _me(services: Services, principal: Principal) -> Me:
    log = services.control.log
    return Me(
        id=principal.id,
        name=principal.name,
        kind=principal.kind,
        role=principal.role,
        server_id=log.server_id,
        log_id=log.log_id,
        version=services.version,
    )
