"""The connections to all desktops: one kept link each with the outpost behind it, what it reports, and whether the
agents are ready.

Like the runner, it reads the log: a desktop that was added, changed or restarted is connected anew, a removed one is
let go. What a link says becomes events: `desktop.started` when the desktop can be used, `desktop.link` when the
connection comes and goes, `desktop.error` when it has been away for long or needs a person.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from time import monotonic

import anyio
import anyio.abc
import structlog

from ..control.door import Control
from ..control.journal import until_taken
from ..domain import desktops
from ..domain.addresses import Network
from ..domain.desktops import NewSsh, Reached
from ..domain.entities import Agent, Desktop, HostKey, OutpostFacts
from ..domain.errors import Refused
from ..domain.filters import Filter
from ..domain.times import rfc3339
from ..domain.values import Error
from ..domain.watching import CheckReport, CheckStep, Metrics, Unreachable
from ..log.vault import SecretUnreadable
from ..streams.cursor import follow
from . import probe
from .backoff import delay_s
from .connection import (
    AgentAuth,
    ConfigAuth,
    KeyAuth,
    OfferedKey,
    PasswordAuth,
    SshAuth,
    SshConnection,
    SshFailure,
    SshTarget,
    offered_host_keys,
)
from .direct import CommandRefused, open_command
from .install import Attachment
from .link import CONNECTING_MAX, Failure, Link, LinkStatus, open_link
from .outpost_link import OutpostFailure, OutpostLink, open_outpost

AGENT_SECONDS = 10.0  # between two looks at an agent; a quick and cheap request
AGENT_SECONDS_UNTIL_READY = 2.0  # while it is not ready: agents take 20 to 40 s to start
COMING_UP_SECONDS = 5.0  # that a check waits for a link that is being made; it says what it knows then
SHELL_SECONDS_MAX = 10.0
REMOVE_SECONDS = 5.0  # that an outpost is given to delete everything of it
NEW_KEYS_SECONDS = 60.0  # between two looks at the host keys of a desktop that is not the confirmed host any more

KILL_USER_PROCESSES = (
    "systemd ends this account's processes at its last logout (KillUserProcesses=yes), and with them what runs here. "
    "Let the account linger (loginctl enable-linger), then restart the desktop here."
)
NO_OUTPOST = "Runs here are not durable: they end with the connection."
RUNS_WAIT = "Tasks that run there wait for it. Mend that, or cancel them to go on without an outpost."

_WATCHED = frozenset(("desktop.created", "desktop.updated", "desktop.removed"))
_logger = structlog.get_logger(__name__)


class _Watch:
    """The link of one desktop, while it is watched."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.link: Link | None = None
        self.not_durable_because: str | None = None


async def _remove_outpost(outpost: OutpostLink, scope: anyio.CancelScope) -> None:
    """Nothing runs on a desktop that is removed: leave nothing behind there, and then let go of it."""
    outpost.remove()
    with anyio.move_on_after(REMOVE_SECONDS):  # a connection that is closed may take with it what was just said
        await outpost.wait_lost()
    scope.cancel()


class Fleet:
    """All desktops of this server. Made by `open_fleet`."""

    def __init__(self, control: Control, group: anyio.abc.TaskGroup, agent_networks: tuple[Network, ...] = ()) -> None:
        self.agent_networks = agent_networks
        self._control = control
        self._group = group
        self._watches: dict[str, _Watch] = {}
        self._came_up = anyio.Event()  # some link did
        self._connecting = anyio.CapacityLimiter(CONNECTING_MAX)
        self._shown_at: dict[str, float] = {}  # desktop → when other host keys than the confirmed one were taken down

    def metrics(self) -> dict[str, Metrics]:
        """The newest figures by desktop id; a desktop without an outpost has none."""
        return {
            id: Metrics(id=id, cpu=now.cpu, memory=now.memory, disk=now.disk, load=now.load, runs=now.runs)
            for id in self._watches
            if (outpost := self.outpost_of(id)) and (now := outpost.metrics)
        }

    def is_up(self, desktop_id: str) -> bool:
        """Whether a command could be started there now."""
        link = self._link(desktop_id)
        return link is not None and link.status.phase == "up"

    def outpost_of(self, desktop_id: str) -> OutpostLink | None:
        """The attached outpost of a desktop, if there is one now."""
        link = self._link(desktop_id)
        return link.outpost if link else None

    async def outpost(self, desktop_id: str) -> OutpostLink:
        """The attached outpost of a desktop, as soon as there is one."""
        while (found := self.outpost_of(desktop_id)) is None:
            await self._came_up.wait()
        return found

    async def has_outpost(self, desktop_id: str) -> bool:
        """Whether runs of a desktop go through an outpost, as soon as its link is up.

        Not whether the outpost can be reached in this moment: who waits for `outpost` has it when it is back.
        """
        while (link := self._link(desktop_id)) is None or link.status.phase != "up":
            await self._came_up.wait()
        return link.has_outpost

    async def connection(self, desktop_id: str) -> SshConnection:
        """The kept connection of a desktop. Raises SshFailure."""
        if (link := self._link(desktop_id)) is None:
            raise SshFailure("connection_lost", "The desktop is not connected.")
        return await link.connection()

    def _link(self, desktop_id: str) -> Link | None:
        watch = self._watches.get(desktop_id)
        return watch.link if watch else None

    def leave(self) -> None:
        """Ask every outpost where nothing runs to leave: this server stops."""
        for id in self._watches:
            if outpost := self.outpost_of(id):
                outpost.leave()

    async def offered(self, ssh: NewSsh) -> list[HostKey]:
        """The host keys that a host can prove. Raises Unreachable."""
        auth: SshAuth = ConfigAuth() if isinstance(ssh.auth, desktops.ConfigAuth) else AgentAuth()
        port = None if isinstance(ssh.auth, desktops.ConfigAuth) and ssh.port == desktops.DEFAULT_PORT else ssh.port
        try:
            jump = await self._jump(ssh.jump)
            target = SshTarget(host=ssh.host, port=port, username=ssh.username, auth=auth, jump=jump)
            return [_host_key(key) for key in await offered_host_keys(target)]
        except SshFailure as failure:
            raise Unreachable(_error(failure)) from None
        except SecretUnreadable as error:
            raise Unreachable(Error(code="secret_missing", message=f"{error}. Enter it again.")) from None

    async def check(self, desktop: Desktop) -> CheckReport:
        """Try each step of using a desktop, on a connection of its own."""
        if desktop.status == "booting":  # confirmed or brought back a moment ago: its kept link is about to be up
            with anyio.move_on_after(COMING_UP_SECONDS):
                await self.has_outpost(desktop.id)
        endpoint: probe.AgentEndpoint | None = None
        try:
            target = await self._target(desktop)
            if desktop.agent is not None:
                endpoint = await self._endpoint(desktop.id, desktop.agent)
        except SecretUnreadable as error:
            return CheckReport(ok=False, steps=(CheckStep(name="authenticate", ok=False, detail=str(error), ms=0),))
        # A second attach would take the outpost over from the kept link: that one says how it stands.
        steps = await probe.check(
            target, endpoint, outpost=self._check_outpost(desktop), ask=self.outpost_of(desktop.id)
        )
        await self._note_agent(desktop, steps[-1].ok)
        return CheckReport(
            ok=probe.is_ok(steps),
            steps=tuple(CheckStep(name=one.name, ok=one.ok, detail=one.detail, ms=round(one.ms)) for one in steps),
        )

    async def follow_the_log(self, after: int) -> None:
        """Watch what is added, changed or removed after a position, for ever."""
        wanted = Filter(types=_WATCHED)
        async with aclosing(follow(self._control.log, after, wanted)) as steps:
            async for events, _, _ in steps:
                for event in events:
                    assert event.desktop_id is not None, "every event watched here names its desktop"
                    desktop = self._control.journal.desktop(event.desktop_id)
                    if event.type != "desktop.updated" or desktop.status in ("pending", "booting"):
                        self.watch(desktop)

    def watch(self, desktop: Desktop) -> None:
        """Connect to a desktop, anew if it was; let go of a removed one."""
        if old := self._watches.pop(desktop.id, None):
            if desktop.removed_at and old.link and old.link.outpost:
                self._group.start_soon(_remove_outpost, old.link.outpost, old.scope)
            else:
                old.scope.cancel()
        if desktop.removed_at:
            self._shown_at.pop(desktop.id, None)
        else:
            self._watches[desktop.id] = watch = _Watch()
            self._group.start_soon(self._watch, desktop, watch)

    async def _watch(self, desktop: Desktop, watch: _Watch) -> None:
        with watch.scope:
            try:
                if desktop.ssh.host_key is None and not desktop.ssh.authorities:
                    await self._ask_for_host_keys(desktop)
                else:
                    await self._keep_link(desktop, watch)
            except SecretUnreadable as error:
                await self._say(desktop.id, Error(code="secret_missing", message=f"{error}. Enter it again."), None)

    async def _ask_for_host_keys(self, desktop: Desktop) -> None:
        """Until the host shows its keys; then a person confirms one, and the desktop is watched anew."""
        failures = 0
        target = await self._target(desktop)
        while True:
            try:
                offered = [_host_key(key) for key in await offered_host_keys(target)]
            except SshFailure as failure:
                failures += 1
                seconds = delay_s(failures, 0.5)
                await self._say(desktop.id, _error(failure), seconds)
                await anyio.sleep(seconds)
                continue
            try:
                await until_taken(partial(self._control.desktops.offer, desktop.id, offered))
            except Refused as refused:  # the fingerprint that was given is not among them
                await self._say(desktop.id, Error(code="host_key_changed", message=refused.detail), None)
            return

    async def _keep_link(self, desktop: Desktop, watch: _Watch) -> None:
        changes: list[LinkStatus] = []
        news = anyio.Event()

        def note(status: LinkStatus) -> None:
            changes.append(status)
            news.set()
            if status.phase == "up":
                self._came_up.set()
                self._came_up = anyio.Event()

        target = await self._target(desktop)
        attach = partial(self._attach, desktop, watch)
        opened = open_link(target, note, attach=attach, limiter=self._connecting)
        async with opened as link, anyio.create_task_group() as group:
            watch.link = link
            try:
                group.start_soon(self._watch_agent, desktop.id, link)
                while True:
                    news = anyio.Event()
                    if changes:
                        status = changes[-1]
                        changes.clear()
                        await self._report(desktop.id, watch, link, status)
                    else:
                        await news.wait()
            finally:
                watch.link = None

    @asynccontextmanager
    async def _attach(
        self, desktop: Desktop, watch: _Watch, connection: SshConnection
    ) -> AsyncGenerator[OutpostLink | None]:
        """The outpost behind a connection; None where there cannot be one, and `watch` then knows why."""
        log, options = self._control.log, desktop.outpost_options
        attachment = Attachment(
            server=log.server_id, log=log.log_id, generation=log.head, nonce="", directory=options.directory
        )
        async with AsyncExitStack() as stack:
            outpost, watch.not_durable_because = None, None
            try:
                opened = open_outpost(connection, attachment, python=options.python)
                outpost = await stack.enter_async_context(opened)
            except OutpostFailure as failure:
                if failure.code != "outpost_not_possible":
                    raise
                if self._has_runs(desktop.id):
                    raise OutpostFailure("outpost_failed", f"{failure.message.rstrip('.')}. {RUNS_WAIT}") from failure
                watch.not_durable_because = f"{failure.message.rstrip('.')}. {NO_OUTPOST}"
            yield outpost

    def _has_runs(self, desktop_id: str) -> bool:
        """Whether an outpost there, which there was, has runs that are to be followed to their end."""
        return any(
            task.desktop_id == desktop_id
            and task.status == "running"
            and task.instance_id
            and not task.cancel_requested_at
            for task in self._control.journal.state.open_tasks()
        )

    async def _report(self, desktop_id: str, watch: _Watch, link: Link, status: LinkStatus) -> None:
        desktop = self._control.journal.desktop(desktop_id)
        control = self._control.desktops
        match status.phase:
            case "up":
                await self._say_up(desktop, watch, link)
            case "down":
                if status.failure:
                    if isinstance(status.failure, SshFailure) and status.failure.code == "host_key_changed":
                        await self._show_new_keys(desktop, link, status.failure)
                    next_try_ms = None if status.failure.is_final else status.next_try_ms
                    await self._say(desktop_id, _error(status.failure), _seconds_until(next_try_ms))
            case "connecting" | "reconnecting":
                if status.failure is None:
                    return
                error, next_try_at = _error(status.failure), self._at(_seconds_until(status.next_try_ms))
                await until_taken(
                    lambda: control.link_changed(desktop_id, "reconnecting", error=error, next_try_at=next_try_at)
                )

    async def _show_new_keys(self, desktop: Desktop, link: Link, failure: SshFailure) -> None:
        """Take down which host keys are shown instead, so that a person can compare them and confirm one.

        Not often: it is an event and another try each time, and a host may show a new key whenever it is asked.
        """
        now, last = monotonic(), self._shown_at.get(desktop.id)
        is_known = set(failure.offered) <= set(desktop.ssh.offered_fingerprints)
        if is_known or (last is not None and now - last < NEW_KEYS_SECONDS):
            return
        self._shown_at[desktop.id] = now
        try:
            offered = [_host_key(key) for key in await offered_host_keys(link.target)]
        except SshFailure:
            return  # gone again: a later try shows them
        await until_taken(partial(self._control.desktops.offer, desktop.id, offered))

    async def _say_up(self, desktop: Desktop, watch: _Watch, link: Link) -> None:
        """Connected: if something can be run there, it can be used."""
        try:
            connection = await link.connection()
            if link.has_outpost and link.outpost is None:
                return  # lost again already, and the link says so itself
            reached = await self._reached(link, connection, watch)
        except CommandRefused as refused:
            await self._say(desktop.id, Error(code="shell_not_usable", message=refused.message), None)
            return
        except (SshFailure, OutpostFailure) as failure:
            if link.status.phase == "up":  # else it is lost again already, and the link says so itself
                await self._say(desktop.id, _error(failure), None)
            return
        control = self._control.desktops
        peer: tuple[str, int] | None = connection.ssh.get_extra_info("peername")
        if desktop.status in ("booting", "error"):
            ip_address = peer[0] if peer else None
            await until_taken(lambda: control.started(desktop.id, ip_address=ip_address, reached=reached))
        else:
            await until_taken(lambda: control.link_changed(desktop.id, "up", reached=reached))

    async def _reached(self, link: Link, connection: SshConnection, watch: _Watch) -> Reached:
        if outpost := link.outpost:
            said = outpost.facts
            warning = KILL_USER_PROCESSES if said.warning == "kill_user_processes" else said.warning
            facts = OutpostFacts(version=said.version, python=said.python, directory=said.directory, warning=warning)
            return Reached(os=said.system, outpost=facts)
        return Reached(os=await _system_of(connection), not_durable_because=watch.not_durable_because)

    def _check_outpost(self, desktop: Desktop) -> probe.OutpostFound:
        """What the kept link knows of the outpost."""
        watch, link = self._watches.get(desktop.id), self._link(desktop.id)
        if link and (outpost := link.outpost):
            said = outpost.facts
            return probe.OutpostFound(True, f"Attached: Python {said.python}, in {said.directory}.")
        if link and link.status.phase == "up":
            return probe.OutpostFound(False, (watch and watch.not_durable_because) or NO_OUTPOST)
        failure = link.status.failure if link else None
        if isinstance(failure, OutpostFailure):
            return probe.OutpostFound(False, failure.message, failure.code)
        return probe.OutpostFound(None, "Skipped: the desktop is not connected yet.")

    async def _note_agent(self, checked: Desktop, is_ready: bool | None) -> None:
        """What a check saw of an agent holds at once: who reads that it works may run a prompt."""
        now = self._control.journal.desktop(checked.id)
        is_same = now.agent == checked.agent and now.status in ("running", "stopped") and not now.removed_at
        if is_same and is_ready is not None and is_ready != now.agent_ready:
            await self._control.desktops.agent_ready(checked.id, is_ready)

    async def _watch_agent(self, desktop_id: str, link: Link) -> None:
        """Look at the agent again and again; only a change is an event."""
        while True:
            desktop = self._control.journal.desktop(desktop_id)
            is_ready = False
            if desktop.agent is not None and desktop.status in ("running", "stopped"):
                is_ready = await self._is_agent_ready(desktop.id, desktop.agent, link)
            if is_ready != desktop.agent_ready:
                await until_taken(partial(self._control.desktops.agent_ready, desktop_id, is_ready))
            await anyio.sleep(AGENT_SECONDS if is_ready or desktop.agent is None else AGENT_SECONDS_UNTIL_READY)

    async def _is_agent_ready(self, desktop_id: str, agent: Agent, link: Link) -> bool:
        try:
            endpoint = await self._endpoint(desktop_id, agent)
        except SecretUnreadable:
            return False  # a check says why
        return (await probe.agent_ready(endpoint, link.outpost)).is_ready

    async def _endpoint(self, desktop_id: str, agent: Agent) -> probe.AgentEndpoint:
        """Where an agent is asked, with its token opened. Raises SecretUnreadable."""
        token = await self._control.desktops.secret(desktop_id, "agentToken")
        return probe.AgentEndpoint(agent.url, token, agent.kind, agent.via, self.agent_networks)

    async def _target(self, desktop: Desktop) -> SshTarget:
        """Where it is and who we are there, with its secrets opened. Raises SecretUnreadable."""
        ssh, secret = desktop.ssh, self._control.desktops.secret
        auth: SshAuth
        port: int | None = ssh.port
        match ssh.auth.kind:
            case "key":
                names = ("privateKey", "passphrase", "certificate")
                key, passphrase, certificate = [await secret(desktop.id, name) for name in names]
                auth = KeyAuth(key or "", passphrase, certificate)
            case "password":
                auth = PasswordAuth(await secret(desktop.id, "password") or "")
            case "agent":
                auth = AgentAuth()
            case "config":
                auth = ConfigAuth()
                port = None if port == desktops.DEFAULT_PORT else port
        return SshTarget(
            host=ssh.host,
            port=port,
            username=ssh.username,
            host_key=ssh.host_key,
            host_authorities=ssh.authorities,
            revoked_host_keys=ssh.all_revoked_keys,
            jump=await self._jump(ssh.jump),
            auth=auth,
        )

    async def _jump(self, desktop_id: str | None) -> SshTarget | None:
        """The desktop that the way to another leads through, as it stands now."""
        return await self._target(self._control.journal.desktop(desktop_id)) if desktop_id else None

    async def _say(self, desktop_id: str, error: Error, next_try_s: float | None) -> None:
        """The desktop cannot be used, for this reason."""
        next_try_at = self._at(next_try_s)
        await until_taken(lambda: self._control.desktops.failed(desktop_id, error, next_try_at=next_try_at))

    def _at(self, seconds: float | None) -> str | None:
        if seconds is None:
            return None
        return rfc3339(self._control.journal.now_us() + int(seconds * 1_000_000))


async def _system_of(connection: SshConnection) -> str | None:
    """What the host is, in its own words; what its shell answers also shows that it can run something."""
    said = b""
    async with open_command(connection, "uname -sr", timeout_s=SHELL_SECONDS_MAX) as run:
        async for stream, data in run:
            said += data if stream == "stdout" and len(said) < 1000 else b""
    if run.end.reason == "connection_lost":
        raise SshFailure("connection_lost", "The connection was lost.")
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1][:100] if lines and run.end.is_success else None


def _host_key(key: OfferedKey) -> HostKey:
    return HostKey(type=key.type, fingerprint=key.fingerprint, public_key=key.public_key)


def _error(failure: Failure) -> Error:
    return Error(code=failure.code, message=failure.message)


def _seconds_until(moment_ms: int | None) -> float | None:
    return None if moment_ms is None else max(moment_ms / 1000 - monotonic(), 0)


@asynccontextmanager
async def open_fleet(control: Control, *, agent_networks: tuple[Network, ...] = ()) -> AsyncGenerator[Fleet]:
    """Keep connections to all desktops while the block is open.

    `agent_networks` are those in which agents may be asked, beside the loopback of their desktop.
    """
    async with anyio.create_task_group() as group:
        fleet = Fleet(control, group, agent_networks)
        after = control.log.head
        for desktop in list((await control.journal.ready()).desktops.values()):
            # As the last server left it; it is up again when it says so.
            was_up = desktop.link == "up"
            fleet.watch(await control.desktops.link_changed(desktop.id, "reconnecting") if was_up else desktop)
        group.start_soon(fleet.follow_the_log, after)
        yield fleet
        group.cancel_scope.cancel()
