"""`mission-control known-hosts …`: what is trusted, and what is not, for the hosts of all desktops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import USAGE, Failed
from .help import examples
from .tasks import AsJson

if TYPE_CHECKING:
    from .client import Client

PATH = "/api/mission-control/known-hosts"
MARKERS = ("cert-authority", "revoked")
HASHED = "|"  # how the name of a host begins that ssh has hashed

app = App(name="known-hosts", help="Trust authorities for many hosts, and revoke keys.")


class Line(NamedTuple):
    """A line of known_hosts that has a marker: as `@cert-authority *.example.com ssh-ed25519 AAAA…`."""

    marker: str
    hosts: tuple[str, ...]
    public_key: str


class Lines(NamedTuple):
    """What a file says for many hosts, by line number; and how many lines name single hosts, or hashed ones."""

    marked: dict[int, Line]
    single: int
    hashed: int


def marked_in(text: str) -> Lines:
    """The lines of a known_hosts file that have a marker. Raises ValueError for one that is not understood."""
    marked: dict[int, Line] = {}
    single = hashed = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words[0].removeprefix("@")
        if marker == words[0]:
            single += 1
        elif marker not in MARKERS or len(words) < 4:
            raise ValueError(f"line {number} is not `@cert-authority` or `@revoked`, hosts and a public key")
        elif words[1].startswith(HASHED):
            hashed += 1
        else:
            marked[number] = Line(marker, tuple(words[1].split(",")), f"{words[2]} {words[3]}")
    return Lines(marked, single, hashed)


@app.command(
    help_epilogue=examples(
        "mission-control known-hosts add '*.example.com' --authority ca.pub",
        "mission-control known-hosts add '*.example.com' '!old.example.com' --authority ca.pub",
        "mission-control known-hosts add '*' --revoked stolen.pub",
    )
)
def add(
    *hosts: Annotated[str, Parameter(help="Pattern of host names as in known_hosts: *, ?, !excluded, [host]:port.")],
    authority: Annotated[
        Path | None, Parameter(help="Public key, such as ca.pub, whose host certificates are trusted.")
    ] = None,
    revoked: Annotated[
        Path | None, Parameter(help="Public key, of a host or an authority, that proves nothing.")
    ] = None,
    server: Connection = HERE,
) -> None:
    """Trust an authority for all hosts that match, or revoke a key for them. Prints its id.

    A desktop with a confirmed host key or an authority of its own goes on by that. A revoked key counts for none.
    """
    if not hosts or (authority is None) == (revoked is None):
        raise Failed("Name the hosts, and one of --authority and --revoked.", USAGE)
    file = authority or revoked
    assert file is not None
    try:
        words = file.expanduser().read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Failed(f"The public key {file} cannot be read: {reason}.", USAGE) from None
    with open_client(server) as client:
        print(_add(client, Line("cert-authority" if authority else "revoked", hosts, " ".join(words[:2]))))


@app.command(name="list")
def list_(*, json: AsJson = False, server: Connection = HERE) -> None:
    """List what holds for many hosts. What a desktop trusts for itself stands with the desktop."""
    from ..domain.entities import KnownHost
    from .tables import print_known_hosts, print_listed

    print_listed(server, PATH, KnownHost, print_known_hosts, json=json)


@app.command(help_epilogue=examples("mission-control known-hosts remove host_01jd…"))
def remove(id: Annotated[str, Parameter(help="Its id.")], /, *, server: Connection = HERE) -> None:
    """Take one back. Desktops that were trusted only by it wait until their host key is confirmed."""
    from .client import segment

    with open_client(server) as client:
        client.delete(f"{PATH}/{segment(id)}")
        print(id)


@app.command(name="import", help_epilogue=examples("mission-control known-hosts import /etc/ssh/ssh_known_hosts"))
def import_(file: Annotated[Path, Parameter(help="A known_hosts file.")], /, *, server: Connection = HERE) -> None:
    """Take over the lines with @cert-authority and @revoked of a known_hosts file. Prints the ids of what is new.

    Lines of single hosts are for `desktops add --known-hosts`.
    """
    from ..domain.entities import KnownHost
    from .client import decoded
    from .render import note

    try:
        found = marked_in(file.expanduser().read_text())
    except OSError as error:
        raise Failed(f"The file {file} cannot be read: {error.strerror}.", USAGE) from None
    except ValueError as error:  # UnicodeDecodeError is one too
        raise Failed(f"{file} cannot be read as known_hosts: {error}.", USAGE) from None
    with open_client(server) as client:
        there = {Line(one.marker, one.hosts, one.public_key) for one in decoded(client.get(PATH), list[KnownHost])}
        for number, line in found.marked.items():
            if line in there:
                continue
            there.add(line)
            try:
                print(_add(client, line))
            except Failed as failed:
                raise Failed(f"{file}, line {number}: {failed}", failed.exit_code) from None
    if found.single or found.hashed:
        note(f"Passed over: {found.single} lines without a marker, {found.hashed} of a hashed host.")


def _add(client: Client, line: Line) -> str:
    from ..domain.entities import KnownHost
    from .client import decoded

    body = {"marker": line.marker, "hosts": line.hosts, "publicKey": line.public_key}
    return decoded(client.post(PATH, body), KnownHost).id
