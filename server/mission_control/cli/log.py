"""`mission-control log …`: the event log on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from .connection import HERE, Connection, choose, data_directory, open_client
from .failures import FAILED, OK, UNREACHABLE, USAGE, Failed
from .help import examples
from .tasks import AsJson

if TYPE_CHECKING:
    from ..log.heads import NotedHead
    from ..log.verify import Report

app = App(name="log", help="Check the event log, or say that it was restored.")


@app.command(
    help_epilogue=examples(
        "mission-control log verify",
        "mission-control log verify --data-dir /srv/mc --json",
        "mission-control log verify --head /mnt/elsewhere/heads",
    )
)
def verify(
    *,
    head: Annotated[
        Path | None, Parameter(help="Also against the heads in this file, one a line, as `log head` prints them.")
    ] = None,
    data_dir: Annotated[Path | None, Parameter(help="Its data directory. [env: MISSION_CONTROL_DATA_DIR]")] = None,
    json: AsJson = False,
) -> int:
    """Check the log against itself: nothing missing, nothing changed, and everything shown still follows from it.

    With heads that were noted elsewhere it shows also whether somebody wrote the whole log anew. Also while a server
    runs on it. Exits with 1 when something is wrong, and says what.
    """
    import anyio

    from ..log.directory import DirectoryUnusable
    from ..log.sqlite import NewerSchema
    from ..log.verify import verify_directory

    directory = data_directory(Connection(data_dir=data_dir))
    heads = _heads_in(head) if head else []
    try:
        with _progress() as progress:
            report = anyio.run(verify_directory, directory, progress, heads)
    except (DirectoryUnusable, NewerSchema) as error:
        raise Failed(str(error)) from None
    if json:
        from .render import print_json

        print_json(msgspec.json.encode(_facts(report)))
    else:
        _say(report, directory)
    return OK if report.is_sound else FAILED


@app.command(help_epilogue=examples("mission-control log restored --data-dir /srv/mc"))
def restored(
    *,
    data_dir: Annotated[Path | None, Parameter(help="Its data directory. [env: MISSION_CONTROL_DATA_DIR]")] = None,
) -> int:
    """Say that a data directory was restored from a backup, before a server is started on it.

    The log gets a new id, which it prints: whoever followed the log that went on after the backup begins again instead
    of missing what is gone, and desktops talk to this one from now on.
    """
    import anyio

    from ..log.directory import DirectoryUnusable
    from ..log.sqlite import NewerSchema, name_anew

    try:
        print(anyio.run(name_anew, data_directory(Connection(data_dir=data_dir))))
    except (DirectoryUnusable, NewerSchema) as error:
        raise Failed(str(error)) from None
    return OK


@app.command(help_epilogue=examples("mission-control log head >> /mnt/elsewhere/heads"))
def head(
    *,
    data_dir: Annotated[Path | None, Parameter(help="Its data directory. [env: MISSION_CONTROL_DATA_DIR]")] = None,
) -> int:
    """Print the log's head as one line of JSON: its newest position, the chain's digest there, the time, the log's id.

    Kept elsewhere, such lines show with `log verify --head` whether history was written anew. A server can note them
    by itself: `serve --head-file`. Of a server elsewhere: GET /api/mission-control/log/head.
    """
    import anyio

    from ..log.directory import DirectoryUnusable
    from ..log.sqlite import NewerSchema
    from ..log.verify import directory_head

    try:
        found = anyio.run(directory_head, data_directory(Connection(data_dir=data_dir)))
    except (DirectoryUnusable, NewerSchema) as error:
        raise Failed(str(error)) from None
    print(msgspec.json.encode(found).decode())
    return OK


def _heads_in(file: Path) -> list[NotedHead]:
    from ..log.heads import BadHeads, read_heads

    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            found = read_heads(lines)
    except OSError as error:
        raise Failed(f"The file of heads {file} cannot be read: {error.strerror}.", USAGE) from None
    except BadHeads as error:
        raise Failed(f"The file of heads {file} cannot be used: {error}.", USAGE) from None
    if not found:
        raise Failed(f"There are no heads in {file}.", USAGE)
    return found


class _Changed(msgspec.Struct):
    secrets: int


@app.command(name="rotate-key", help_epilogue=examples("mission-control log rotate-key --data-dir /srv/mc"))
def rotate_key(*, server: Connection = HERE) -> int:
    """Seal all secrets with a new key, in the running server or, where none runs, in its data directory.

    The old key opens nothing there any more; a backup of the database from before still needs it. If this is
    interrupted nothing is lost: say it again, or start the server, which finishes it.

    A key that the server was given as MISSION_CONTROL_SEAL_KEY is changed by starting it with another one, and with the
    present one as MISSION_CONTROL_SEAL_KEY_OLD.
    """
    if (count := _rotated_by_server(server)) is None:
        count = _rotated_here(data_directory(server))
    print(f"{count} secret{' is' if count == 1 else 's are'} sealed with a new key.")
    return OK


def _rotated_by_server(server: Connection) -> int | None:
    """How many secrets the server sealed anew; None where no server runs."""
    from .client import MISSION_CONTROL, decoded

    try:
        choose(server)
    except Failed as failed:
        if failed.exit_code == UNREACHABLE:
            return None
        raise
    with open_client(server) as client:
        return decoded(client.post(f"{MISSION_CONTROL}/seal-key/rotate"), _Changed).secrets


def _rotated_here(directory: Path) -> int:
    import anyio

    from ..control.door import rotate_key
    from ..domain.errors import SEAL_KEY_GIVEN, Refused
    from ..log.directory import DirectoryUnusable
    from ..log.seal_keys import OLD_VARIABLE, VARIABLE, take_given
    from ..log.sqlite import NewerSchema

    try:
        if take_given().key is not None:
            raise Refused(SEAL_KEY_GIVEN, variable=VARIABLE, old=OLD_VARIABLE)
        return anyio.run(rotate_key, directory)
    except (DirectoryUnusable, NewerSchema, Refused) as error:
        raise Failed(str(error)) from None


def _facts(report: Report) -> dict[str, object]:
    problems = [{"seq": problem.seq, "sentence": problem.sentence} for problem in report.problems]
    return {
        "isSound": report.is_sound,
        "problemCount": report.problem_count,
        "events": report.events,
        "tasks": report.tasks,
        "runs": report.runs,
        "bytes": report.bytes,
        "problems": problems,
    }


def _say(report: Report, directory: Path) -> None:
    from .terminal import one_line

    for problem in report.problems:
        print(one_line(str(problem)))
    if (untold := report.problem_count - len(report.problems)) > 0:
        print(f"… and {untold} more")
    held = f"{report.events} events, {report.tasks} tasks, {report.bytes} bytes of output"
    verdict = "is sound" if report.is_sound else f"has {report.problem_count} problem{'s' * (report.problem_count > 1)}"
    print(f"The log in {directory} {verdict}: {held}.")


@contextmanager
def _progress() -> Generator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda seq, head: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Checking events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("events")
        yield lambda seq, head: bar.update(task, completed=seq, total=head)
