"""The demo world: an SSH server and a chat endpoint as one child process, and how the server starts and ends it.

`python -m mission_control.demo.world DIRECTORY` makes what it needs in the directory (0700), prints one line of JSON
when both can be used, and ends when its standard input does. The parent holds the other end of that pipe, so the world
ends with its parent however that ends, also by `kill -9`. Keys, token and (where they are free) ports stay the same
from one start to the next, since the log remembers them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import asyncssh
import msgspec

from .agent import open_agent
from .model import Model
from .samples import write_samples
from .shell import Shell, account_name
from .ssh_server import open_ssh_server

START_SECONDS_MAX = 30  # until the world is ready; a slow disk and a cold cache included
END_SECONDS_MAX = 6  # to end its commands by itself, before it is killed
LINE_BYTES_MAX = 64 * 1024  # of its first line
LOG_TAIL_BYTES = 2_000  # quoted when it does not start

HOST = "127.0.0.1"


class DemoWorld(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """How the demo world is reached. `host_public_key` is the line of known_hosts without the host."""

    ssh_host: str
    ssh_port: int
    username: str
    host_key_type: str
    host_public_key: str
    fingerprint: str
    client_private_key_path: str
    client_private_key: str = ""  # its text, which the child does not print
    agent_url: str
    agent_token: str
    folder: str


class DemoFailed(Exception):
    """The demo world did not start; the message says why and what to do."""


@asynccontextmanager
async def open_demo_world(directory: Path) -> AsyncGenerator[DemoWorld]:
    """Run the demo world as a child process while the block is open. Raises DemoFailed when it does not start.

    The child is in a session of its own: Ctrl-C reaches the server only, which ends the world in its own time.
    """
    log = await anyio.to_thread.run_sync(_open_log, directory)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mission_control.demo.world", str(directory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
    finally:
        os.close(log)
    try:
        yield await _ready(process, directory)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _ready(process: asyncio.subprocess.Process, directory: Path) -> DemoWorld:
    assert process.stdout is not None, "it was asked for"
    line = b""
    with anyio.move_on_after(START_SECONDS_MAX):
        line = await process.stdout.readline()
    try:
        world = msgspec.json.decode(line, type=DemoWorld)
    except msgspec.DecodeError:
        said = await anyio.to_thread.run_sync(_log_tail, directory)
        raise DemoFailed(
            f"The demo world did not start ({said or f'it said nothing for {START_SECONDS_MAX} s'}). "
            f"Look at {directory / 'world.log'}, or start without the demo."
        ) from None
    key = await anyio.to_thread.run_sync(Path(world.client_private_key_path).read_text)
    return msgspec.structs.replace(world, client_private_key=key)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, which ends it; kill it if that does not."""
    assert process.stdin is not None, "it was asked for"
    process.stdin.close()
    with anyio.move_on_after(END_SECONDS_MAX):
        await process.wait()
        return
    process.kill()
    await process.wait()


def _open_log(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(directory / "world.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _log_tail(directory: Path) -> str:
    lines = (directory / "world.log").read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


# --- the child --------------------------------------------------------------------------------------------------------


class _Ports(msgspec.Struct):
    """Where the world was last time; 0 = anywhere."""

    ssh: int = 0
    agent: int = 0


class _Kept(NamedTuple):
    """What stays from one start to the next."""

    folder: Path
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    token: str
    ports: _Ports


def _prepare(directory: Path) -> _Kept:
    """Make what is missing in the directory, and read what is there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    folder = directory / "desktop"
    if not folder.exists():
        folder.mkdir()
        write_samples(folder)
    return _Kept(
        folder,
        _kept_key(directory / "host_key"),
        _kept_key(directory / "client_key"),
        _kept_token(directory / "agent_token"),
        _read_ports(directory / "ports.json"),
    )


def _let_outposts_leave(folder: Path) -> None:
    """The demo ends: its outposts leave, unless something still runs there; then they leave when it has ended."""
    for path in folder.glob(".local/state/mission-control/*/*/sock-*"):
        here = os.open(path.parent, os.O_RDONLY)
        with suppress(OSError), socket.socket(socket.AF_UNIX) as outpost:
            outpost.settimeout(1.0)
            outpost.connect(f"/proc/self/fd/{here}/{path.name}" if Path("/proc/self/fd").exists() else str(path))
            outpost.sendall(b"I0000")
            while outpost.recv(64):
                pass
        os.close(here)


async def live(directory: Path) -> None:
    """Be the demo world until standard input ends or a signal says so."""
    folder, host_key, client_key, token, before = _prepare(directory)
    shell = Shell(folder)
    try:
        with _listen(before.ssh) as ssh_listener, _listen(before.agent) as agent_listener:
            ports = _Ports(ssh_listener.getsockname()[1], agent_listener.getsockname()[1])
            _write_private(directory / "ports.json", msgspec.json.encode(ports))
            async with (
                open_ssh_server(ssh_listener, shell, host_key, client_key),
                open_agent(agent_listener, shell, token=token, model=Model.from_environment(os.environ)),
            ):
                key_type, public_key, *_ = host_key.export_public_key().decode().split()
                world = DemoWorld(
                    ssh_host=HOST,
                    ssh_port=ports.ssh,
                    username=account_name(),
                    host_key_type=key_type,
                    host_public_key=f"{key_type} {public_key}",
                    fingerprint=host_key.get_fingerprint(),
                    client_private_key_path=str(directory / "client_key"),
                    agent_url=f"http://{HOST}:{ports.agent}/v1",
                    agent_token=token,
                    folder=str(folder),
                )
                sys.stdout.buffer.write(msgspec.json.encode(world) + b"\n")
                sys.stdout.flush()
                await _told_to_end()
    finally:
        shell.end_what_is_left()
        await anyio.to_thread.run_sync(_let_outposts_leave, folder)


async def _told_to_end() -> None:
    """Until the parent is gone, or somebody ends this process by a signal."""
    async with anyio.create_task_group() as group:

        async def watch_input() -> None:
            with suppress(OSError):
                while True:
                    await anyio.wait_readable(sys.stdin.fileno())
                    if not os.read(sys.stdin.fileno(), 1024):
                        break
            group.cancel_scope.cancel()

        async def watch_signals() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()

        group.start_soon(watch_input)
        group.start_soon(watch_signals)


def _listen(port: int) -> socket.socket:
    """A listener on the port of last time, or on any free one where another program has it."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of last time linger a while
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            listener.close()
            listener = socket.socket()
            listener.bind((HOST, 0))
            listener.listen()
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _read_ports(path: Path) -> _Ports:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Ports)
    except (OSError, msgspec.DecodeError):
        return _Ports()


def _kept_key(path: Path) -> asyncssh.SSHKey:
    """The private key of this file, made at the first start."""
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType] - its own hints
        _write_private(path, key.export_private_key())
    return asyncssh.read_private_key(path)


def _kept_token(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only this account can read, whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    new.replace(path)


def main() -> None:
    """The child's entry point."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mission_control.demo.world DIRECTORY")
    anyio.run(live, Path(sys.argv[1]).absolute())


if __name__ == "__main__":
    main()
