"""The composition root: opens everything in one place, serves until it is told to stop, and leaves in order."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
import structlog
import uvicorn

from . import __version__
from .api.app import create_app
from .api.http_protocol import HttpProtocol
from .api.proxies import proxies_of
from .api.services import Services
from .api.websocket_protocol import WebSocketProtocol
from .certificate import CertificateUnusable, check_certificate, keep_certificate
from .config import ANY_ADDRESS, Config, default_data_dir
from .control.door import Control, open_control
from .control.principals import LOCAL
from .demo.setup import offer_demo
from .domain.addresses import networks_of
from .domain.values import SYSTEM
from .heads import note_heads
from .log.directory import DirectoryUnusable, locked_directory
from .log.seal_keys import Given, take_given
from .log.sqlite import NewerSchema
from .log.writer import LogBroken
from .runs.fleet import open_fleet
from .runs.runner import Runner, open_runner
from .streams.find import open_finder

PROGRAM = "mission-control"
SOCKET_FILE = "control.sock"
SOCKET_PATH_BYTES_MAX = 100  # of an address of a Unix socket, on all systems
RUNS_NAMED_MAX = 10
CANCEL_SECONDS_MAX = 20  # a command may take 5 s to end by itself, and some to be killed
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2, the oldest that is spoken; those of TLS 1.3 are all good
GRACE_SECONDS = 5  # for answers that are under way when the server stops
COLLECT_AFTER = 10_000, 20, 20  # objects, and collections of the younger generation
SWITCH_SECONDS = 0.0005  # a tenth of Python's own

_logger = structlog.get_logger(__name__)


class StartFailed(Exception):
    """The server cannot start; the message says why and what to do."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: two of them run here, and both stop together."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(config: Config) -> int:
    """Serve until a signal. The exit code: 0 after a signal, 1 when the event log broke.

    Raises StartFailed.
    """
    _configure_logging(config.log_level)
    try:
        seal_keys = take_given()  # before there is any other process that could have them
        with locked_directory(config.data_dir):
            await _serve(config, seal_keys)
    except (DirectoryUnusable, NewerSchema) as error:
        raise StartFailed(str(error)) from None
    except BaseExceptionGroup as group:
        unusable, others = group.split(DirectoryUnusable)
        if unusable is not None and others is None:
            raise StartFailed(str(next(_leaves_of(unusable)))) from None
        broken, others = group.split(LogBroken)
        if broken is None or others is not None:
            raise
        _logger.critical("the event log is broken; the next start reads what is on the disk", error=str(broken))
        return 1
    return 0


def _leaves_of(group: BaseExceptionGroup[DirectoryUnusable]) -> Iterator[DirectoryUnusable]:
    """The exceptions of a group, wherever in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves_of(error)
        else:
            yield error


async def _serve(config: Config, seal_keys: Given) -> None:
    if config.tls_cert and config.tls_key:
        try:
            check_certificate(config.tls_cert, config.tls_key)
        except CertificateUnusable as error:
            raise StartFailed(str(error)) from None
    config.data_dir.chmod(0o700)
    os.umask(0o077)  # whatever is made from now on is its owner's alone
    listener = _listen(config)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        local = stack.enter_context(_local_socket(config.data_dir))
        control = await stack.enter_async_context(open_control(config.data_dir, seal_keys=seal_keys))
        if config.demo:  # before the connections, so that it is there when they come and goes after them
            await stack.enter_async_context(offer_demo(control, config.data_dir / "demo"))
        fleet = await stack.enter_async_context(open_fleet(control, agent_networks=networks_of(config.agent_networks)))
        patience_s = config.run_patience_seconds
        runner = await stack.enter_async_context(open_runner(control, fleet, patience_s=patience_s))
        finder = await stack.enter_async_context(open_finder())
        stopping = anyio.Event()
        address = _url(config, listener)
        services = Services(
            control=control,
            probe=fleet,
            metrics=fleet.metrics,
            allowed_hosts=config.host_names,
            tls=config.tls,
            version=__version__,
            stopping=stopping,
            finder=finder,
            dashboard=_dashboard(),
            is_ready=lambda: runner.is_alive and control.log.trouble is None,
            url=address,
            requests_per_minute=config.requests_per_minute,
            wrong_keys_per_minute=config.wrong_keys_per_minute,
            streams_per_key=config.streams_per_key,
            public_metrics=config.public_metrics,
            proxies=proxies_of(config.trusted_proxies),
        )
        public = _uvicorn_config(config, create_app(services), tls=True)
        servers = [
            (_Server(public), listener),
            (_Server(_uvicorn_config(config, create_app(services, principal=LOCAL), tls=False)), local),
        ]
        async with anyio.create_task_group() as background:
            if config.tls_cert and config.tls_key:
                public.load()
                assert public.ssl is not None
                background.start_soon(keep_certificate, public.ssl, config.tls_cert, config.tls_key)
            if config.head_file or config.head_webhook:
                background.start_soon(note_heads, control.log, config)
            async with anyio.create_task_group() as group:
                for server, bound in servers:
                    group.start_soon(lambda server=server, bound=bound: server.serve(sockets=[bound]))
                _shorten_pauses()
                _greet(config, control, address)
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    await anext(signals)
                _say("Stopping …")
                if config.cancel_runs:
                    await _cancel_runs(control, runner)
                _say_going_on(runner)
                stopping.set()
                fleet.leave()
                for server, _ in servers:
                    server.should_exit = True
            background.cancel_scope.cancel()


def _shorten_pauses() -> None:
    """Keep everybody's waits for Python itself short.

    The collector stops all threads for as long as it looks through what there is: what was loaded up to now stays
    anyway. A thread that wants the interpreter, such as the log's writer, has it when another is done or this is over.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_SECONDS)


async def _cancel_runs(control: Control, runner: Runner) -> None:
    """End what runs on the desktops, as far as that can be done in a short time."""
    ids = [task.id for task in runner.going_on()]
    await control.tasks.cancel_all(ids, SYSTEM)
    with anyio.move_on_after(CANCEL_SECONDS_MAX):
        while runner.going_on():
            await control.log.wait_beyond(control.log.head)


def _say_going_on(runner: Runner) -> None:
    """Name what this server leaves running, since nothing else would tell."""
    going_on = runner.going_on()
    if not going_on:
        return
    runs = "1 run goes on, and is" if len(going_on) == 1 else f"{len(going_on)} runs go on, and are"
    _say(f"{runs} picked up at the next start:")
    for task in going_on[:RUNS_NAMED_MAX]:
        _say(f"  {task.id}  {(task.title or task.content.strip().splitlines()[0])[:70]}")
    if len(going_on) > RUNS_NAMED_MAX:
        _say(f"  and {len(going_on) - RUNS_NAMED_MAX} more")


def _uvicorn_config(config: Config, app: object, *, tls: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=64 * 1024,
        ws_ping_interval=20,
        ws_ping_timeout=60,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=str(config.tls_cert) if tls and config.tls_cert else None,
        ssl_keyfile=str(config.tls_key) if tls and config.tls_key else None,
        ssl_ciphers=CIPHERS,
    )


def _listen(config: Config) -> socket.socket:
    """Bind before anything else, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartFailed(
                f"Port {config.port} on {config.host} is in use. Stop what uses it, or choose another with --port."
            ) from None
        if error.errno == errno.EACCES:
            raise StartFailed(f"Port {config.port} needs more rights. Choose one above 1023 with --port.") from None
        raise StartFailed(f"Cannot listen on {config.host}:{config.port}: {error.strerror}.") from None
    listener.listen(2048)
    return listener


@contextmanager
def _local_socket(directory: Path) -> Generator[socket.socket]:
    """The administration socket, 0600 from its first moment. A long path goes through the directory's descriptor."""
    path = directory / SOCKET_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        reached = str(path)
        if len(os.fsencode(reached)) > SOCKET_PATH_BYTES_MAX:
            reached = f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
        local.bind(reached)
        local.listen(128)
    except OSError as error:
        local.close()
        raise StartFailed(
            f"The socket {path} cannot be made: {error.strerror}. Choose a shorter or local --data-dir."
        ) from None
    finally:
        os.umask(mask)
        os.close(descriptor)
    try:
        yield local
    finally:
        local.close()
        path.unlink(missing_ok=True)


def _dashboard() -> Path | None:
    built = Path(__file__).parent / "dashboard"
    return built if (built / "index.html").is_file() else None


def _url(config: Config, listener: socket.socket) -> str:
    host = config.host
    if host in ANY_ADDRESS:
        host = config.allowed_hosts[0] if config.allowed_hosts else "127.0.0.1"
    port = listener.getsockname()[1]
    return f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _greet(config: Config, control: Control, address: str) -> None:
    """Say where the server is; on a terminal, or in the demo, with a link that signs in."""
    _say(f"Mission Control {__version__} on {address}  (data: {config.data_dir})")
    if config.demo or sys.stdout.isatty() or not control.access.has_keys:
        if config.demo or sys.stdout.isatty():
            link = f"{address}/#signin={control.access.sessions.make_link()}"
            _say(f"\n  Open  {link}\n\n  The link works once, for ten minutes.")
            _say(f"  Another: {_open_command(config)}   Stop: Ctrl-C\n")
        else:
            _say(f"Nobody can sign in yet. Make a link:  {_open_command(config)}")


def _open_command(config: Config) -> str:
    """What to type for another link, as it works here: by its path where the program is not in PATH."""
    here = f"{sys.executable} -m mission_control" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    program = PROGRAM if shutil.which(PROGRAM) else here
    flag = "" if config.data_dir == default_data_dir() else f" --data-dir {config.data_dir}"
    return f"{program} open{flag}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is what a person reads at the start


def _configure_logging(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # what matters of it is said on the desktop
