"""Signing in: a browser's session, by key or one-time link, and who one is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..control.principals import Principal
from ..domain.errors import LINK_INVALID, LOCAL_ONLY, UNAUTHORIZED, Refused, invalid
from .answers import answer, no_content
from .auth import count_wrong_key, session_cookie, session_token
from .queries import SessionsQuery
from .routes import body_of, query_of
from .services import Services, principal_of, services_of, visitor_of
from .views import Me, SessionView, SignIn, SignInLink


async def sign_in(request: Request) -> Response:
    """Begin a browser session with an API key or the token of a one-time link; the answer sets its cookie."""
    services, given = services_of(request), body_of(request, SignIn)
    if (given.key is None) == (given.link is None):
        raise invalid("/key", "is needed, or link instead")
    signed_in = await services.control.access.sign_in(
        key=given.key, link=given.link, visitor=visitor_of(request), instead=session_token(request)
    )
    if signed_in is None:
        count_wrong_key(request, "key" if given.link is None else "link")
        raise Refused(UNAUTHORIZED if given.link is None else LINK_INVALID)
    token, principal = signed_in
    response = answer(_me(services, principal), 201)
    response.headers["Set-Cookie"] = session_cookie(request, token)
    return response


async def sign_out(request: Request) -> Response:
    """End the browser session at once, with its open streams."""
    access, principal = services_of(request).control.access, principal_of(request)
    if principal.session_id is not None:
        await access.sign_out([access.sessions.one(principal.session_id, principal)], principal.actor)
    return _signed_out(request)


async def list_sessions(request: Request) -> Response:
    """Who is signed in, newest first: one's own sessions, and for an admin everybody's."""
    services, principal = services_of(request), principal_of(request)
    log = services.control.log
    found = [SessionView.of(one, principal.session_id) for one in services.control.access.sessions.seen_by(principal)]
    headers = {"Mission-Control-Seq": str(log.head), "Mission-Control-Log": log.log_id}
    return answer(found, headers=headers | {"Mission-Control-Total": str(len(found))})


async def end_session(request: Request) -> Response:
    """Sign a browser out at once, with its open streams: one's own, and for an admin anybody's."""
    access, principal = services_of(request).control.access, principal_of(request)
    session = access.sessions.one(request.path_params["id"], principal)
    await access.sign_out([session], principal.actor)
    return _signed_out(request) if session.id == principal.session_id else no_content()


async def end_sessions(request: Request) -> Response:
    """Sign out everywhere: all of one's own sessions; with `others=true` all but the one that asks."""
    access, principal = services_of(request).control.access, principal_of(request)
    spared = principal.session_id if query_of(request, SessionsQuery).others else None
    own = [one for one in access.sessions.seen_by(principal) if one.principal.id == principal.id and one.id != spared]
    await access.sign_out(own, principal.actor)
    is_out = principal.session_id is not None and spared is None
    return _signed_out(request) if is_out else no_content()


def _signed_out(request: Request) -> Response:
    response = no_content()
    response.headers["Set-Cookie"] = session_cookie(request, "")
    return response


async def make_link(request: Request) -> Response:
    """Make a link that signs in as admin, once, within ten minutes. Only through the local administration socket."""
    services = services_of(request)
    if principal_of(request).kind != "local":
        raise Refused(LOCAL_ONLY)
    token = services.control.access.sessions.make_link()
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
        desktop_labels=principal.labels,
        session_id=principal.session_id,
        server_id=log.server_id,
        log_id=log.log_id,
        version=services.version,
    )
