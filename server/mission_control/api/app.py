"""The index of the API: every route in one table. Checks, permissions and the description follow from it."""

# ruff: noqa: E501 - one route, one row
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp

from ..control.principals import Principal
from ..domain import errors as e
from ..domain import limits
from ..domain.desktops import DesktopEdit, NewDesktop
from ..domain.entities import Approval, KnownHost, Secret, Settings
from ..domain.keys import NewKey
from ..domain.known_hosts import NewKnownHost
from ..domain.secrets import NewSecret, SecretEdit
from ..domain.settings import SettingsEdit
from ..domain.tasks import NewTask, TaskEdit
from ..log.heads import Head
from ..streams.find import Found
from . import (
    activity,
    approvals,
    batches,
    desktops,
    health,
    keys,
    known_hosts,
    metrics,
    openapi,
    overview,
    queries,
    secrets,
    session,
    settings,
    sse,
)
from . import tasks as t
from .auth import Door
from .problems import Problems
from .proxies import Forwarded
from .routes import Answer, Route, Routes
from .services import Services
from .static import Dashboard
from .views import (
    AppliedView,
    BatchCreated,
    BatchDetail,
    BatchView,
    CheckView,
    DesktopView,
    Envelope,
    Health,
    KeyChangeView,
    KeyView,
    Me,
    NewBatch,
    Overview,
    Review,
    SessionView,
    SignIn,
    SignInLink,
    TaskView,
)
from .websocket import activity_ws

MC = "/api/mission-control"
DESKTOPS = "/api/desktops"
AUTH = "/api/auth"
METRICS = "/metrics"

SHOWN = ("Mission-Control-Seq", "Mission-Control-Log")
LISTED = (*SHOWN, "Mission-Control-Total", "Link")
PAGED = (*SHOWN, "Link")

TASK = Answer(type=TaskView, headers=SHOWN)
TASK_MADE = Answer(status=201, type=TaskView, headers=("Location", *SHOWN))
TASKS = Answer(type=list[TaskView], headers=LISTED)
DESKTOP = Answer(type=DesktopView, headers=SHOWN)
EVENTS = Answer(type=list[Envelope], headers=PAGED)
STREAM = Answer(media_types=("text/event-stream",))
RECORDED = (*SHOWN, "Mission-Control-Position", "Mission-Control-Removed")
OUTPUT = Answer(media_types=("text/plain", "application/x-ndjson"), headers=RECORDED)
LINES = Answer(
    media_types=("application/x-ndjson",),
    headers=(*RECORDED, "Mission-Control-Lines", "Mission-Control-From", "Mission-Control-Style"),
)
APPLIED = Answer(type=AppliedView)
NOTHING = Answer(status=204)
CANNOT_RUN = (e.DESKTOP_NOT_RUNNING, e.AGENT_NOT_READY, e.AGENT_NOT_CONFIGURED, e.DESKTOP_QUEUE_FULL, e.DESKTOP_REMOVED)
EDITED = (e.NOT_FOUND, e.VERSION_MISMATCH)
GONE = (e.NOT_FOUND, e.DESKTOP_REMOVED)
BATCH = limits.BATCH_BODY_BYTES_MAX

# fmt: off
TABLE: tuple[Route, ...] = (
    Route("GET", f"{MC}/tasks", t.list_tasks, "read", TASKS, query=queries.TasksQuery, about="several"),
    Route("POST", f"{MC}/tasks", t.create_task, "work", TASK_MADE, body=NewTask, refusals=CANNOT_RUN, once=True, about="several"),
    Route("GET", f"{MC}/tasks/{{id}}", t.read_task, "read", TASK, refusals=(e.NOT_FOUND,)),
    Route("PATCH", f"{MC}/tasks/{{id}}", t.edit_task, "work", TASK, body=TaskEdit, refusals=(*EDITED, e.TASK_NOT_PENDING)),
    Route("DELETE", f"{MC}/tasks/{{id}}", t.archive_task, "work", NOTHING, refusals=(e.NOT_FOUND, e.TASK_NOT_FINISHED)),
    Route("POST", f"{MC}/tasks/{{id}}/run", t.run_task, "work", TASK, refusals=(e.NOT_FOUND, e.TASK_NOT_PENDING, *CANNOT_RUN), once=True),
    Route("POST", f"{MC}/tasks/{{id}}/cancel", t.cancel_task, "work", TASK, query=queries.CancelQuery, refusals=(e.NOT_FOUND, e.TASK_NOT_CANCELLABLE)),
    Route("POST", f"{MC}/tasks/{{id}}/review", t.review_task, "work", TASK, body=Review, refusals=(e.NOT_FOUND, e.TASK_NOT_IN_REVIEW), once=True),
    Route("POST", f"{MC}/tasks/{{id}}/retry", t.retry_task, "work", TASK_MADE, refusals=(e.NOT_FOUND, e.TASK_NOT_FINISHED, e.DESKTOP_REMOVED), once=True),
    Route("GET", f"{MC}/tasks/{{id}}/output", t.task_output, "read", OUTPUT, query=queries.OutputQuery, refusals=(e.NOT_FOUND,)),
    Route("DELETE", f"{MC}/tasks/{{id}}/output", t.remove_output, "administer", NOTHING, refusals=(e.NOT_FOUND, e.TASK_NOT_FINISHED)),
    Route("GET", f"{MC}/tasks/{{id}}/output/lines", t.task_lines, "read", LINES, query=queries.LinesQuery, refusals=(e.NOT_FOUND,)),
    Route("GET", f"{MC}/tasks/{{id}}/output/find", t.find_in_output, "read", Answer(type=Found, headers=SHOWN), query=queries.FindQuery, refusals=(e.NOT_FOUND, e.BAD_PATTERN, e.PATTERN_TOO_SLOW)),
    Route("GET", f"{MC}/tasks/{{id}}/events", t.task_events, "read", EVENTS, query=queries.EventsQuery, refusals=(e.NOT_FOUND,)),

    Route("GET", f"{MC}/batches", batches.list_batches, "read", Answer(type=list[BatchView], headers=LISTED), query=queries.BatchesQuery, about="several"),
    Route("POST", f"{MC}/batches", batches.create_batch, "work", Answer(status=201, type=BatchCreated, headers=("Location",)), body=NewBatch, body_bytes_max=BATCH, refusals=CANNOT_RUN, once=True, about="several"),
    Route("GET", f"{MC}/batches/{{id}}", batches.read_batch, "read", Answer(type=BatchDetail, headers=SHOWN), refusals=(e.NOT_FOUND,)),
    Route("POST", f"{MC}/batches/{{id}}/run", batches.run_batch, "work", APPLIED, refusals=(e.NOT_FOUND,), once=True),
    Route("POST", f"{MC}/batches/{{id}}/cancel", batches.cancel_batch, "work", APPLIED, refusals=(e.NOT_FOUND,)),
    Route("POST", f"{MC}/batches/{{id}}/retry-failed", batches.retry_failed, "work", APPLIED, refusals=(e.NOT_FOUND,), once=True),

    Route("GET", f"{MC}/approvals", approvals.list_approvals, "read", Answer(type=list[Approval], headers=LISTED), query=queries.ApprovalsQuery, about="several"),
    Route("GET", f"{MC}/settings", settings.read_settings, "read", Answer(type=Settings, headers=SHOWN), about="no desktop"),
    Route("PATCH", f"{MC}/settings", settings.edit_settings, "administer", Answer(type=Settings), body=SettingsEdit),
    Route("GET", f"{MC}/secrets", secrets.list_secrets, "work", Answer(type=list[Secret], headers=LISTED), about="no desktop"),
    Route("POST", f"{MC}/secrets", secrets.create_secret, "administer", Answer(status=201, type=Secret, headers=("Location",)), body=NewSecret, refusals=(e.SECRET_EXISTS, e.SECRETS_FULL)),
    Route("PATCH", f"{MC}/secrets/{{name}}", secrets.replace_secret, "administer", Answer(type=Secret), body=SecretEdit, refusals=(e.NOT_FOUND,)),
    Route("DELETE", f"{MC}/secrets/{{name}}", secrets.remove_secret, "administer", NOTHING, refusals=(e.NOT_FOUND,)),
    Route("GET", f"{MC}/known-hosts", known_hosts.list_known_hosts, "read", Answer(type=list[KnownHost], headers=LISTED)),
    Route("POST", f"{MC}/known-hosts", known_hosts.add_known_host, "administer", Answer(status=201, type=KnownHost, headers=("Location",)), body=NewKnownHost, refusals=(e.KNOWN_HOST_EXISTS, e.KNOWN_HOSTS_FULL)),
    Route("DELETE", f"{MC}/known-hosts/{{id}}", known_hosts.remove_known_host, "administer", NOTHING, refusals=(e.NOT_FOUND,)),
    Route("POST", f"{MC}/seal-key/rotate", secrets.rotate_seal_key, "administer", Answer(type=KeyChangeView), refusals=(e.SEAL_KEY_GIVEN, e.SEAL_KEY_UNUSABLE)),
    Route("GET", f"{MC}/overview", overview.read_overview, "read", Answer(type=Overview, headers=SHOWN), query=queries.OverviewQuery, about="several"),

    Route("GET", f"{MC}/activity", activity.list_activity, "read", EVENTS, query=queries.ActivityQuery, about="several"),
    Route("GET", f"{MC}/activity/stream", sse.activity_stream, "read", STREAM, query=queries.ActivityStreamQuery, streams=True, about="several"),
    Route("WEBSOCKET", f"{MC}/activity/ws", activity_ws, "read", about="several"),

    Route("GET", f"{MC}/log/head", health.read_head, "read", Answer(type=Head, headers=SHOWN), about="no desktop"),

    Route("GET", DESKTOPS, desktops.list_desktops, "read", Answer(type=list[DesktopView], headers=LISTED), query=queries.DesktopsQuery, about="several"),
    Route("POST", DESKTOPS, desktops.create_desktop, "administer", Answer(status=201, type=DesktopView, headers=("Location",)), body=NewDesktop, once=True),
    Route("GET", f"{DESKTOPS}/stream", sse.desktops_stream, "read", STREAM, query=queries.DesktopsStreamQuery, streams=True, about="several"),
    Route("GET", f"{DESKTOPS}/{{id}}", desktops.read_desktop, "read", Answer(type=DesktopView, headers=SHOWN), refusals=(e.NOT_FOUND,)),
    Route("PATCH", f"{DESKTOPS}/{{id}}", desktops.edit_desktop, "administer", DESKTOP, body=DesktopEdit, refusals=(*EDITED, e.DESKTOP_REMOVED, e.SECRET_NEEDED)),
    Route("DELETE", f"{DESKTOPS}/{{id}}", desktops.remove_desktop, "administer", NOTHING, refusals=(e.NOT_FOUND, e.DESKTOP_HAS_RUNNING_TASKS, e.DESKTOP_IS_JUMP)),
    Route("POST", f"{DESKTOPS}/{{id}}/start", desktops.start_desktop, "administer", DESKTOP, refusals=GONE),
    Route("POST", f"{DESKTOPS}/{{id}}/stop", desktops.stop_desktop, "administer", DESKTOP, query=queries.StopQuery, refusals=GONE),
    Route("POST", f"{DESKTOPS}/{{id}}/restart", desktops.restart_desktop, "administer", DESKTOP, refusals=GONE),
    Route("POST", f"{DESKTOPS}/{{id}}/check", desktops.check_desktop, "administer", Answer(type=CheckView), refusals=(e.NOT_FOUND,)),

    Route("GET", f"{AUTH}/me", session.me, "read", Answer(type=Me), about="no desktop"),
    Route("POST", f"{AUTH}/session", session.sign_in, "public", Answer(status=201, type=Me, headers=("Set-Cookie",)), body=SignIn, refusals=(e.UNAUTHORIZED, e.LINK_INVALID, e.RATE_LIMITED)),
    Route("DELETE", f"{AUTH}/session", session.sign_out, "read", NOTHING, about="no desktop"),
    Route("GET", f"{AUTH}/sessions", session.list_sessions, "read", Answer(type=list[SessionView], headers=LISTED), about="no desktop"),
    Route("DELETE", f"{AUTH}/sessions", session.end_sessions, "read", NOTHING, query=queries.SessionsQuery, about="no desktop"),
    Route("DELETE", f"{AUTH}/sessions/{{id}}", session.end_session, "read", NOTHING, refusals=(e.NOT_FOUND,), about="no desktop"),
    Route("POST", f"{AUTH}/links", session.make_link, "administer", Answer(status=201, type=SignInLink), refusals=(e.LOCAL_ONLY,)),
    Route("GET", f"{AUTH}/api-keys", keys.list_keys, "administer", Answer(type=list[KeyView], headers=LISTED)),
    Route("POST", f"{AUTH}/api-keys", keys.create_key, "administer", Answer(status=201, type=KeyView, headers=("Location",)), body=NewKey),
    Route("DELETE", f"{AUTH}/api-keys/{{id}}", keys.revoke_key, "administer", NOTHING, refusals=(e.NOT_FOUND, e.LAST_ADMIN_KEY)),

    Route("GET", "/healthz", health.healthz, "public", Answer(type=Health)),
    Route("GET", "/readyz", health.readyz, "public", Answer(type=Health), refusals=(e.LOG_UNAVAILABLE, e.NOT_READY, e.SHUTTING_DOWN)),
    Route("GET", METRICS, metrics.read_metrics, "read", Answer(media_types=("text/plain",))),
    Route("GET", "/openapi.json", openapi.read_openapi, "read", Answer(type=dict[str, Any]), about="no desktop"),
)
# fmt: on


def create_app(
    services: Services, *, principal: Principal | None = None, clock: Callable[[], float] = time.monotonic
) -> ASGIApp:
    """The API and the dashboard as one ASGI application.

    With a fixed `principal` whoever can connect is that one: no key is needed, and neither Host, Origin nor limits are
    checked. That is for the administration socket, whose file says who may open it.
    """
    table = TABLE
    if services.public_metrics:
        table = tuple(replace(route, access="public") if route.path == METRICS else route for route in TABLE)
    routes = Routes(table, Dashboard())
    door = Door(routes, services, routes.access_of, principal=principal, clock=clock)
    return Problems(Forwarded(door, services.proxies) if services.proxies else door)
