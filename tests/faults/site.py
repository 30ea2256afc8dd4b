"""The real parts of one small fleet, and every way to hurt them.

    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=2_000_000, pause_at=1_000_000)
        await site.until_output(run, 900_000)
        site.kill_server()
        await site.start_server()
        site.let_go(run)
        await site.check()          # heals, waits for all ends, and holds every promise against what was seen

The account of the desktop has a home of its own (sshd's `SetEnv HOME`), so that everything the outpost keeps is in the
test's folder, and every process of it carries `HOME=<folder>` in its environment. Only those are ever killed.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2

from mission_control.runs.protocol import run_id
from tests.faults import writer
from tests.faults.history import ENDS, History, Process, Run, Seen
from tests.faults.validators import violations
from tests.faults.watcher import DEADLINE_SECONDS, Watcher
from tests.support.processes import is_alive
from tests.support.proxy import Proxy, open_proxy
from tests.support.server_process import ServerProcess, command_line, open_server
from tests.support.sshd import SshHost, open_sshd
from tests.support.waiting import until

END_SECONDS = DEADLINE_SECONDS
HELD_BYTES = 8  # at the end of what came, that may be the beginning of a secret and wait for what follows
TASKS = "/api/mission-control/tasks"
SECRETS = "/api/mission-control/secrets"
WRITER = Path(writer.__file__)


def new_seed() -> int:
    """Of this test: from MISSION_CONTROL_SEED, or a new one; printed, so that a failure can be repeated."""
    seed = int(os.environ.get("MISSION_CONTROL_SEED") or random.SystemRandom().randrange(1_000_000))
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    print(f"To repeat: MISSION_CONTROL_SEED={seed} scripts/test '{test}'")  # noqa: T201 - pytest shows it on failure
    return seed


@dataclass
class Outpost:
    """One outpost on the desktop, as its files and processes show it."""

    directory: Path

    def run_folder(self, task_id: str) -> Path:
        return self.directory / "runs" / run_id(task_id).hex()

    def supervisor(self, task_id: str) -> int:
        """The process that watches over a run."""
        return json.loads((self.run_folder(task_id) / "super").read_text())["pid"]

    def segments(self, task_id: str) -> list[Path]:
        return sorted(self.run_folder(task_id).glob("*.seg"))

    def spool_bytes(self, task_id: str) -> int:
        total = 0
        for segment in self.segments(task_id):
            with suppress(FileNotFoundError):
                total += segment.stat().st_size
        return total

    def daemon(self) -> int | None:
        """The process that listens on the socket there, found by the socket's inode."""
        inodes = {
            line.split()[6]
            for line in Path("/proc/net/unix").read_text().splitlines()[1:]
            if line.endswith("sock-1") and line.split()[3] == "00010000"
        }
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (folder / "cwd").readlink() != self.directory:
                    continue
                links = [link.readlink() for link in (folder / "fd").iterdir()]
                if any(f"socket:[{inode}]" == str(link) for inode in inodes for link in links):
                    return int(folder.name)
        return None

    @property
    def log(self) -> str:
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""


class Server:
    """A data directory, and the server that runs on it, now and then."""

    def __init__(self, data_dir: Path, flags: Sequence[str]) -> None:
        self.data_dir = data_dir
        self.flags = tuple(flags)
        self.port = _free_port()  # the same over restarts: whoever follows comes back to it
        self.key: str | None = None
        self.under: tuple[str, ...] = ()
        self.running: ServerProcess | None = None
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> ServerProcess:
        assert self.running is not None, "the server is stopped"
        return self.running

    @property
    def http(self) -> httpx2.AsyncClient:
        return self.process.http

    async def start(self, *, under: Sequence[str] = ()) -> None:
        self.under = tuple(under)
        opened = open_server(
            self.data_dir, *self.flags, demo=False, port=self.port, key=self.key, under=under, environment=_ENVIRONMENT
        )
        try:
            self.running = await self._stack.enter_async_context(opened)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"The server did not start: {error}\n{self.stderr[-6000:]}") from None
        self.key = self.http.headers["x-api-key"]

    async def start_under(self, under: Sequence[str]) -> bool:
        """Start it under a program that may kill it, even before it listens; whether it came that far."""
        try:
            await self.start(under=under)
        except AssertionError:
            await self.close()
            return False
        return True

    @property
    def stderr(self) -> str:
        """What all its processes have said."""
        return (self.data_dir.parent / f"{self.data_dir.name}.stderr").read_text(errors="replace")

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye."""
        if self.under and self.process.process.poll() is None:
            with suppress(ProcessLookupError):  # strace is a moment behind what it killed
                os.kill(self._pid(), signal.SIGKILL)  # what runs it ends by itself
            self.process.process.wait()
        else:
            self.process.kill()

    def _pid(self) -> int:
        """Of the server itself, whatever it runs under."""
        return int((self.data_dir / "lock").read_text().split()[-1])

    async def close(self) -> None:
        """End it, however it is."""
        if self.running is not None and self.running.process.poll() is None:
            self.running.process.send_signal(signal.SIGCONT)
            if self.under:  # what runs it does not pass signals on
                with suppress(ProcessLookupError):
                    os.kill(self._pid(), signal.SIGINT)
                process = self.running.process
                await until(lambda: process.poll() is not None, "the server to end")
        self.running = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def restart(self, *, under: Sequence[str] = ()) -> None:
        """Kill it, and start it again on the same directory and port."""
        self.kill()
        await self.close()
        await self.start(under=under)

    def log(self) -> tuple[Seen, ...]:
        """Every event of its database file."""
        with sqlite3.connect(f"file:{self.data_dir / 'mission-control.db'}?mode=ro", uri=True) as database:
            rows = database.execute("select seq, type, body from events order by seq").fetchall()
        database.close()
        return tuple(Seen(seq, type, bytes(body)) for seq, type, body in rows)

    @property
    def id(self) -> str:
        with sqlite3.connect(f"file:{self.data_dir / 'mission-control.db'}?mode=ro", uri=True) as database:
            (found,) = database.execute("select value from meta where name = 'server_id'").fetchone()
        database.close()
        return found


@dataclass
class Site:
    """A server, a desktop behind a proxy, and what is known about the runs on it."""

    folder: Path
    home: Path
    host: SshHost
    proxy: Proxy
    server: Server
    seed: int
    group: anyio.abc.TaskGroup
    desktop_id: str = ""
    watchers: list[Watcher] = field(default_factory=list[Watcher])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    gaps_allowed: set[str] = field(default_factory=set[str])
    resets_allowed: int = 0

    # Starting things.

    async def add_desktop(self, server: Server | None = None, **facts: Any) -> str:
        """Add our desktop to a server, confirm its key, and wait until it is there. Its id."""
        server = server or self.server
        body = {
            "name": "The desktop",
            "maxConcurrentTasks": 50,
            "ssh": self.host.ssh(port=self.proxy.port, hostKeyFingerprint=self.host.fingerprint),
        } | facts
        answer = await server.http.post("/api/desktops", json=body)
        assert answer.status_code == 201, answer.text
        is_there = ("running", True)
        await self.until_desktop(
            lambda one: (one["status"], not one["agent"] or one["agentReady"]) == is_there, server, answer.json()["id"]
        )
        return answer.json()["id"]

    async def desktop(self, server: Server | None = None, id: str | None = None) -> dict[str, Any]:
        answer = await (server or self.server).http.get(f"/api/desktops/{id or self.desktop_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until_desktop(
        self, holds: Callable[[dict[str, Any]], bool], server: Server | None = None, id: str | None = None
    ) -> dict[str, Any]:
        last: dict[str, Any] = {}

        async def look() -> bool:
            nonlocal last
            last = await self.desktop(server, id)
            return holds(last)

        try:
            await until(look, "the desktop", seconds=END_SECONDS)
        except AssertionError:
            raise AssertionError(f"The desktop never came to what was waited for. It is {last}") from None
        return last

    def watch(self, task_id: str | None = None) -> Watcher:
        """One more client that follows, and is cut off now and then."""
        assert self.server.key
        name = f"watcher {len(self.watchers) + 1}"
        watcher = Watcher(name, lambda: self.server.url, self.server.key, task_id=task_id, seed=self.seed)
        self.watchers.append(watcher)
        self.group.start_soon(watcher.follow)
        return watcher

    @property
    def watcher(self) -> Watcher:
        return self.watchers[0]

    async def know_secret(self, name: str, value: str) -> None:
        """Have the server know a named secret, which tasks may be given and which is masked in all of them."""
        answer = await self.server.http.post(SECRETS, json={"name": name, "value": value})
        assert answer.status_code == 201, answer.text

    async def start(self, name: str, content: str, *, written: Mapping[str, bytes] | None = None, **facts: Any) -> Run:
        """Create a task and run it at once. `code`, `signal` and the like say what is expected of it."""
        run = await self.try_start(name, content, written=written, **facts)
        assert run, "the desktop's agent is not ready"
        return run

    async def try_start(
        self, name: str, content: str, *, written: Mapping[str, bytes] | None = None, **facts: Any
    ) -> Run | None:
        """The same; None when the desktop's agent is not ready now."""
        known = {
            key: facts.pop(key)
            for key in ("code", "signal", "answer", "may_be_lost", "may_be_cancelled")
            if key in facts
        }
        body = {"type": "command", "content": content, "desktopId": self.desktop_id, "title": name, "run": True} | facts
        answer = await self.server.http.post(TASKS, json=body)
        if answer.status_code == 409 and answer.json()["code"] == "agent_not_ready":
            return None
        assert answer.status_code == 201, answer.text
        if body["type"] == "prompt":
            known |= {"is_prompt": True, "code": None}
        run = Run(answer.json()["id"], name, dict(written) if written is not None else None, **known)
        self.runs[run.task_id] = run
        return run

    async def write(
        self,
        name: str,
        *,
        stdout: int = 200_000,
        stderr: int = 50_000,
        rate: int = 0,
        pause_at: int = 0,
        code: int = 0,
        **facts: Any,
    ) -> Run:
        """Run the writer: a command that knows what it wrote."""
        content = self.writer_line(name, stdout, stderr, rate, pause_at, code)
        run = await self.start(name, content, written=self.written_by(name, stdout, stderr), code=code, **facts)
        return self.expect(run, is_writer=True)

    def writer_line(self, name: str, stdout: int, stderr: int, rate: int = 0, pause_at: int = 0, code: int = 0) -> str:
        numbers = map(str, (self.seed_of(name), stdout, stderr, rate, pause_at, code))
        return "exec " + shlex.join([sys.executable, "-ISu", str(WRITER), str(self.folder), name, *numbers])

    def seed_of(self, name: str) -> int:
        return random.Random(f"{self.seed} {name}").randrange(1_000_000)

    def written_by(self, name: str, stdout: int, stderr: int) -> dict[str, bytes]:
        sizes = {"stdout": stdout, "stderr": stderr}
        return {stream: writer.stream_bytes(self.seed_of(name), stream, size) for stream, size in sizes.items()}

    def expect(self, run: Run, **facts: Any) -> Run:
        """Say what a fault excuses, once it has been done."""
        self.runs[run.task_id] = replace(self.runs[run.task_id], **facts)
        return self.runs[run.task_id]

    def let_go(self, run: Run) -> None:
        """Let a writer go on that waits at its pause."""
        (self.folder / f"{run.name}.go").touch()

    async def cancel(self, run: Run, wait: int = 0) -> dict[str, Any]:
        self.expect(run, may_be_cancelled=True)
        answer = await self.server.http.post(f"{TASKS}/{run.task_id}/cancel", params={"wait": wait} if wait else {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    # Waiting for states.

    async def task(self, run: Run) -> dict[str, Any]:
        return (await self.server.http.get(f"{TASKS}/{run.task_id}")).json()

    async def until_output(self, run: Run, size: int) -> None:
        """Until so many bytes of it have reached the first watcher, but for an end in which a secret may begin."""
        seen = size - min(HELD_BYTES, size // 100)
        await self.watcher.until(lambda: self.watcher.output_bytes(run.task_id) >= seen, f"{size} bytes of {run.name}")

    async def until_event(self, run: Run, *types: str, **facts: Any) -> Seen:
        """The first event of a task of these types, with these facts, that reaches the first watcher."""

        def look() -> Seen | None:
            found = (one for one in self.watcher.of(run.task_id, *types))
            return next((one for one in found if all(one.payload.get(k) == v for k, v in facts.items())), None)

        await self.watcher.until(look, f"{types} {facts} of {run.name}")
        event = look()
        assert event
        return event

    async def ended(self, run: Run) -> dict[str, Any]:
        """The payload of its end."""
        return (await self.until_event(run, *ENDS)).payload

    def is_started(self, run: Run) -> bool:
        return (self.folder / f"{run.name}.started").exists()

    async def until_started(self, run: Run) -> None:
        await until(lambda: self.is_started(run), f"{run.name} to start", seconds=END_SECONDS)

    # Faults.

    def kill_server(self) -> None:
        self.server.kill()

    async def start_server(self) -> None:
        await self.server.close()
        await self.server.start()

    async def restart_server(self) -> None:
        await self.server.restart()

    def stop_server(self) -> None:
        """Freeze it, as a debugger or an overcommitted host does."""
        self.server.process.process.send_signal(signal.SIGSTOP)

    def continue_server(self) -> None:
        self.server.process.process.send_signal(signal.SIGCONT)

    @property
    def outpost(self) -> Outpost:
        return self.outpost_of(self.server)

    def outpost_of(self, server: Server) -> Outpost:
        (found,) = (self.home / ".local/state/mission-control" / server.id).iterdir()
        return Outpost(found)

    async def kill_daemon(self) -> int:
        """Kill the outpost's daemon; the supervisors live on."""
        pid = await until(self.outpost.daemon, "the outpost's daemon")
        assert pid
        self.kill(pid)
        return pid

    async def supervisor(self, run: Run) -> int:
        def look() -> int | None:
            with suppress(OSError, ValueError):
                return self.outpost.supervisor(run.task_id)
            return None

        pid = await until(look, f"the supervisor of {run.name}")
        assert pid
        return pid

    async def kill_supervisor(self, run: Run) -> None:
        pid = await self.supervisor(run)
        self.expect(run, may_be_lost=frozenset({"supervisor_killed"}))
        self.kill(pid)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Signal a process of our desktop; never any other, whatever its id."""
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if self.is_ours(pid):
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    # Looking at the desktop.

    def is_ours(self, pid: int) -> bool:
        return b"HOME=" + os.fsencode(self.home) in _environment(pid)

    def processes(self) -> list[int]:
        """Everything of the desktop that lives."""
        pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        return [pid for pid in pids if self.is_ours(pid) and is_alive(pid)]

    def command_processes(self, task_id: str | None = None) -> list[Process]:
        """The living processes of commands, of one or all."""
        mark = b"MISSION_CONTROL_TASK_ID="
        found: list[Process] = []
        for pid in self.processes():
            tasks = [one[len(mark) :].decode() for one in _environment(pid) if one.startswith(mark)]
            if tasks and (task_id is None or tasks[0] == task_id):
                found.append(Process(pid, tasks[0], _command(pid)))
        return found

    async def until_dead(self, run: Run) -> None:
        await until(lambda: not self.command_processes(run.task_id), f"{run.name} to be dead", seconds=END_SECONDS)

    # The judgement.

    async def all_ended(self) -> None:
        """Heal, and wait until every task has its end and every watcher has seen it."""
        self.proxy.heal()
        for run in self.runs.values():
            self.let_go(run)
        if self.server.running is None:
            await self.server.start()

        async def none_open() -> bool:
            return not [one for one in await self.tasks() if one["status"] in ("pending", "running")]

        try:
            await until(none_open, "every task to end", seconds=END_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.explain()}") from None

    async def tasks(self) -> list[dict[str, Any]]:
        return (await self.server.http.get(TASKS, params={"limit": 500})).json()

    async def history(self) -> History:
        """What was seen until now. The server is asked to stop, so that everything stands still."""
        tasks = await self.tasks()
        head = int((await self.server.http.get(TASKS)).headers["mission-control-seq"])
        for watcher in self.watchers:
            await watcher.until(lambda watcher=watcher: watcher.cursor >= head or _is_at_its_end(watcher), "the head")
        watched = tuple(watcher.seen() for watcher in self.watchers)
        with suppress(AssertionError):
            await until(lambda: not self._unnamed(), seconds=5)
        alive = tuple(self.command_processes())
        assert await self.server.process.stop() == 0
        await self.server.close()
        return History(
            log=self.server.log(),
            watchers=watched,
            runs=tuple(self._with_starts(run) for run in self.runs.values()),
            tasks=tuple(tasks),
            alive=alive,
            verify=await self.verify(),
            gaps_allowed=frozenset(self.gaps_allowed),
            resets_allowed=self.resets_allowed,
        )

    async def check(self) -> History:
        """All has healed and ended, and every promise is kept."""
        await self.all_ended()
        history = await self.history()
        wrong = violations(history)
        for run in history.runs:
            self._check_digest(run, wrong)
        assert not wrong, "\n".join(
            [f"{len(wrong)} promises are broken (seed {self.seed}):", *wrong, "", await self.explain()]
        )
        return history

    def _check_digest(self, run: Run, wrong: list[str]) -> None:
        """The command's own sums are those of the bytes that we expect: the writer and we agree."""
        from hashlib import sha256

        file = self.folder / f"{run.name}.written"
        if run.written is None or not file.exists():
            return
        said = json.loads(file.read_text())
        for stream, data in run.written.items():
            if said[stream] != {"bytes": len(data), "sha256": sha256(data).hexdigest()}:
                wrong.append(f"{run.name} wrote {said[stream]} to {stream}, which is not what it was to write")

    def _with_starts(self, run: Run) -> Run:
        file = self.folder / f"{run.name}.started"
        if not run.is_writer:
            return run
        return replace(run, starts=len(file.read_text().splitlines()) if file.exists() else 0)

    def _unnamed(self) -> list[Process]:
        return self.command_processes()

    async def verify(self) -> tuple[str, ...]:
        arguments = command_line("log", "verify", "--data-dir", str(self.server.data_dir))
        said = await anyio.run_process(arguments, check=False, stderr=subprocess.STDOUT)
        return () if said.returncode == 0 else tuple(said.stdout.decode().splitlines())

    async def explain(self) -> str:
        """What helps to understand a failure."""
        said = [f"--- seed {self.seed}"]
        if self.watchers:
            said += [f"{len(self.watcher.events)} events, the last of them", *map(str, self.watcher.events[-8:])]
        with suppress(Exception):
            states = await self.tasks()
            said += [
                json.dumps({key: one.get(key) for key in ("id", "title", "status", "phase", "error", "outputBytes")})
                for one in states
            ]
            said.append(json.dumps(await self.desktop()))
        with suppress(OSError, ValueError):
            said += ["--- the outpost's log", self.outpost.log[-4000:]]
        with suppress(OSError):
            said += ["--- the server", self.server.stderr[-6000:]]
        return "\n".join(said)


def _is_at_its_end(watcher: Watcher) -> bool:
    """A watcher of one task hears nothing of the others: its last event is what it waits for."""
    return watcher.follows is not None and bool(watcher.of(watcher.follows, *ENDS))


@asynccontextmanager
async def open_site(
    folder: Path, *flags: str, seed: int | None = None, home: Path | None = None, watchers: int = 2, **desktop: Any
) -> AsyncGenerator[Site]:
    """Everything up, the desktop added and connected; in the end nothing is left of it."""
    try:
        async with _open_site(folder, flags, seed, home, watchers, desktop) as site:
            yield site
    except BaseExceptionGroup as group:  # what a test says is easier to read alone
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


@asynccontextmanager
async def _open_site(
    folder: Path, flags: Sequence[str], seed: int | None, home: Path | None, watchers: int, desktop: Mapping[str, Any]
) -> AsyncGenerator[Site]:
    home = home or folder / "home"
    home.mkdir(exist_ok=True)
    seed = new_seed() if seed is None else seed
    server = Server(folder / "data", flags)
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(open_sshd(home=home))
        proxy = await stack.enter_async_context(open_proxy("127.0.0.1", host.port))
        group = await stack.enter_async_context(anyio.create_task_group())
        site = Site(folder, home, host, proxy, server, seed, group)
        try:
            await server.start()
            site.desktop_id = await site.add_desktop(**desktop)
            for _ in range(watchers):
                site.watch()
            yield site
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await server.close()
                await _end_everything(site)


async def _end_everything(site: Site) -> None:
    """Kill what is left of the desktop, and see that it is."""

    def none_left() -> bool:
        for pid in site.processes():
            site.kill(pid)
        return not site.processes()

    said = [path.read_text(errors="replace") for path in site.home.glob(".local/state/mission-control/*/*/log")]
    await until(none_left, "every process of the desktop to be gone")
    assert "Traceback" not in "".join(said), "".join(said)


_ENVIRONMENT: dict[str, str] = {}


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
