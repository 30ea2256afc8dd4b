"""Which server a command talks to: one on this machine through its socket, else the one that the environment names."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from cyclopts import Group, Parameter

from ..config import default_data_dir
from .failures import NOT_ALLOWED, UNREACHABLE, USAGE, Failed

if TYPE_CHECKING:
    from .client import Client

SOCKET_FILE = "control.sock"
SOCKET_PATH_BYTES_MAX = 100  # of an address of a Unix socket: macOS takes 104 with its end, Linux 108
OPEN_DESCRIPTORS = Path("/proc/self/fd")  # reaches a socket below a long path by a short one

_GROUP = Group("Which server", sort_key=100)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Connection:
    """Flags that every command of the client has."""

    data_dir: Annotated[
        Path | None, Parameter(help="Data directory of a server on this machine. [env: MISSION_CONTROL_DATA_DIR]")
    ] = None
    url: Annotated[
        str | None,
        Parameter(
            help="Address of a server elsewhere; its key is in MISSION_CONTROL_API_KEY. [env: MISSION_CONTROL_URL]"
        ),
    ] = None
    api_key_file: Annotated[Path | None, Parameter(help="File that holds the key, instead of the environment.")] = None


HERE = Connection()


@dataclass(frozen=True)
class Local:
    """The server of a data directory."""

    directory: Path


@dataclass(frozen=True)
class Remote:
    """A server that is reached by its address."""

    url: str
    key: str


def choose(given: Connection, environment: Mapping[str, str] = os.environ) -> Local | Remote:
    """The server that is meant. What is given as a flag is never replaced by something else.

    Raises Failed, with what to do, when there is none.
    """
    if given.url:
        return _remote(given.url, given, environment)
    directory = data_directory(given, environment)
    trouble = _trouble(directory)
    if trouble is None:
        return Local(directory)
    if given.data_dir is None and (url := environment.get("MISSION_CONTROL_URL")):
        return _remote(url, given, environment)
    raise trouble


def data_directory(given: Connection, environment: Mapping[str, str] = os.environ) -> Path:
    """The data directory that a flag, the environment or the default names."""
    named = given.data_dir or environment.get("MISSION_CONTROL_DATA_DIR")
    return Path(named).expanduser().absolute() if named else default_data_dir(environment)


def _remote(url: str, given: Connection, environment: Mapping[str, str]) -> Remote:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Failed(f"{url!r} is not the address of a server, such as https://mission-control.example:8765.", USAGE)
    if given.api_key_file:
        try:
            key = given.api_key_file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise Failed(f"The key file {given.api_key_file} cannot be read: {reason}.", USAGE) from None
    else:
        key = environment.get("MISSION_CONTROL_API_KEY", "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise Failed(
            f"No key for {url}. Set MISSION_CONTROL_API_KEY, or name a file with --api-key-file; on the server's"
            " machine `mission-control keys create NAME` makes one.",
            NOT_ALLOWED,
        )
    return Remote(url.rstrip("/"), key)


def _trouble(directory: Path) -> Failed | None:
    """Why the server of a directory cannot be reached; None when it answers."""
    try:
        with socket_path(directory) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            probe.connect(path)
    except PermissionError:
        return Failed(
            f"The server in {directory} belongs to another account. Use that account, or set MISSION_CONTROL_URL and"
            " MISSION_CONTROL_API_KEY.",
            NOT_ALLOWED,
        )
    except OSError:
        return Failed(
            f"No server runs in {directory}. Start one with `mission-control serve`, name its directory with"
            " --data-dir, or set MISSION_CONTROL_URL and MISSION_CONTROL_API_KEY for one elsewhere.",
            UNREACHABLE,
        )
    return None


@contextmanager
def socket_path(directory: Path) -> Generator[str]:
    """The address of a directory's socket, good while this is entered.

    Raises OSError when the directory cannot be opened, and Failed when its path is too long for this system.
    """
    path = directory / SOCKET_FILE
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not OPEN_DESCRIPTORS.is_dir():
            raise Failed(
                f"The path {path} is too long for a socket on this system. Use a shorter --data-dir, or"
                " MISSION_CONTROL_URL and MISSION_CONTROL_API_KEY."
            )
        yield str(OPEN_DESCRIPTORS / str(descriptor) / SOCKET_FILE)
    finally:
        os.close(descriptor)


@contextmanager
def open_client(given: Connection) -> Generator[Client]:
    """A client of the server that is meant. Raises Failed."""
    from .client import Client  # its HTTP library takes longer to load than `--help` to answer

    server = choose(given)
    with ExitStack() as stack:
        if isinstance(server, Local):
            path = stack.enter_context(socket_path(server.directory))
            yield stack.enter_context(Client.over_socket(path, f"the server in {server.directory}"))
        else:
            yield stack.enter_context(Client.over_network(server.url, server.key))
