"""Desktops: the hosts that tasks run on."""

from __future__ import annotations

from msgspec import json
from starlette.requests import Request
from starlette.responses import Response

from ..domain.desktops import AgentAuth, AnyAuth, ConfigAuth, DesktopEdit, NewDesktop, NewSsh
from ..domain.entities import Desktop, HostKey, Ssh
from ..domain.errors import NOT_FOUND, Refused
from ..domain.values import Error
from ..domain.watching import Unreachable
from ..log import queries
from ..log.sqlite import Snapshot
from .answers import answer, next_url, no_content, shown
from .idempotency import remembering
from .queries import DesktopsQuery, StopQuery
from .routes import body_of, query_of
from .services import Services, principal_of, reach_of, services_of
from .versions import wanted_version
from .views import CheckView, DesktopView


def _view(services: Services, desktop: Desktop) -> DesktopView:
    return DesktopView.of(desktop, services.metrics().get(desktop.id))


async def list_desktops(request: Request) -> Response:
    """List desktops, newest first. Removed ones only with `removed=true`."""
    query, services = query_of(request, DesktopsQuery), services_of(request)
    reach = reach_of(request)
    page = queries.desktops_page(query.before, query.limit + 1, removed=query.removed, reach=reach)
    total = queries.desktops_total(removed=query.removed, reach=reach)
    async with shown(request) as moment:
        rows = await moment.snapshot.rows(page.sql, page.parameters)
        counted = await moment.snapshot.row(total.sql, total.parameters)
    desktops = [_view(services, json.decode(row[0], type=Desktop)) for row in rows[: query.limit]]
    more = next_url(request, before=desktops[-1].id) if len(rows) > query.limit else None
    return answer(desktops, headers=moment.headers(total=counted[0] if counted else 0, next_url=more))


async def create_desktop(request: Request) -> Response:
    """Add a desktop. Its host is asked for its keys; without `hostKeyFingerprint` it is pending until one is confirmed.

    A host that cannot be reached is added all the same, and shows in `error` why.
    """
    services, new = services_of(request), body_of(request, NewDesktop)
    await services.control.journal.ready()
    services.control.desktops.check_new(new)
    offered, error = await _offered(services, new.ssh)

    def respond(desktop: Desktop) -> Response:
        return answer(_view(services, desktop), 201, {"Location": f"/api/desktops/{desktop.id}"})

    desktop = await services.control.desktops.create(
        new, offered, principal_of(request).actor, error=error, remember=remembering(request, respond)
    )
    return respond(desktop)


async def _offered(services: Services, ssh: NewSsh) -> tuple[list[HostKey], Error | None]:
    try:
        return await services.probe.offered(ssh), None
    except Unreachable as unreachable:
        return [], unreachable.error


async def read_desktop(request: Request) -> Response:
    """One desktop, removed or not."""
    async with shown(request) as moment:
        desktop = await _desktop(moment.snapshot, request.path_params["id"])
    return answer(_view(services_of(request), desktop), headers=moment.headers())


async def _desktop(snapshot: Snapshot, id: str) -> Desktop:
    row = await snapshot.row("select doc from desktops where id = ?", (id,))
    if row is None:
        raise Refused(NOT_FOUND, kind="desktop", id=id)
    return json.decode(row[0], type=Desktop)


async def edit_desktop(request: Request) -> Response:
    """Change a desktop, or confirm one of its host keys. With `If-Match: VERSION`, only if it is still that version.

    A changed address or agent URL needs its secret again; a new address is asked for its host keys.
    """
    services, id = services_of(request), request.path_params["id"]
    changes, version = body_of(request, DesktopEdit), wanted_version(request)
    desktop = await services.control.desktops.edit(id, changes, principal_of(request).actor, version=version)
    if desktop.status == "pending" and not desktop.ssh.offered_host_keys:
        offered, _ = await _offered(services, _address(desktop.ssh))
        if offered:
            desktop = await services.control.desktops.offer(id, offered)
    return answer(_view(services, desktop))


def _address(ssh: Ssh) -> NewSsh:
    """The address alone, as far as asking a host for its keys needs it: no secret is read for that."""
    auth: AnyAuth = ConfigAuth() if ssh.auth.kind == "config" else AgentAuth()
    return NewSsh(host=ssh.host, port=ssh.port, username=ssh.username, jump=ssh.jump, auth=auth)


async def remove_desktop(request: Request) -> Response:
    """Take a desktop out of the fleet; its pending tasks are cancelled. Not while something runs on it."""
    await services_of(request).control.desktops.remove(request.path_params["id"], principal_of(request).actor)
    return no_content()


async def start_desktop(request: Request) -> Response:
    """Bring a desktop back into service."""
    services, id = services_of(request), request.path_params["id"]
    return answer(_view(services, await services.control.desktops.start(id, principal_of(request).actor)))


async def stop_desktop(request: Request) -> Response:
    """Take a desktop out of service: no new runs. What runs there goes on, unless `drain=false` cancels it."""
    services, id = services_of(request), request.path_params["id"]
    actor = principal_of(request).actor
    desktop = await services.control.desktops.stop(id, actor)
    if not query_of(request, StopQuery).drain:
        open_tasks = (await services.control.journal.ready()).open_tasks()
        running = [task.id for task in open_tasks if task.desktop_id == id and task.status == "running"]
        await services.control.tasks.cancel_all(running, actor)
    return answer(_view(services, desktop))


async def restart_desktop(request: Request) -> Response:
    """Connect a desktop anew."""
    services, id = services_of(request), request.path_params["id"]
    return answer(_view(services, await services.control.desktops.restart(id, principal_of(request).actor)))


async def check_desktop(request: Request) -> Response:
    """Try a desktop now, and say for each step what was found: connect, host key, sign-in, shell, agent."""
    services, id = services_of(request), request.path_params["id"]
    await services.control.journal.ready()
    report = await services.probe.check(services.control.journal.desktop(id, removed=False))
    async with services.control.log.snapshot() as snapshot:
        desktop = await _desktop(snapshot, id)
    return answer(CheckView(ok=report.ok, steps=report.steps, desktop=_view(services, desktop)))
