"""`mission-control tasks …`: create, run, watch and decide."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import USAGE, Failed
from .help import EXIT_CODES, examples

if TYPE_CHECKING:
    from ..domain.entities import Desktop, Task
    from .client import Client

app = App(name="tasks", help="Create, run, watch and review tasks.")

TaskId = Annotated[str, Parameter(help="The task's id, such as task_01…")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON, as the API answers it.")]
Status = Literal["pending", "running", "review", "done", "failed", "cancelled"]
Kind = Literal["command", "prompt"]
WatchIt = Annotated[bool, Parameter(name=["--watch", "-w"], help="Print its output until it is over; exit as it does.")]


@app.command(
    help_epilogue=examples(
        "mission-control tasks create command 'df -h' --desktop build-1 --watch",
        "mission-control tasks create prompt 'Which files are largest?' -d build-1 --approval",
        "mission-control tasks create command - -d build-1 --timeout 15m < script.sh",
        "id=$(mission-control tasks create command 'make -C src' -d build-1 --env CC=clang)",
        "mission-control tasks create command 'npm publish' -d build-1 --secret NPM_TOKEN --watch",
    )
)
def create(
    kind: Kind,
    content: Annotated[str, Parameter(allow_leading_hyphen=True, help="The command or the prompt; `-` reads stdin.")],
    /,
    *,
    desktop: Annotated[str, Parameter(name=["--desktop", "-d"], help="Id or name of the desktop.")],
    title: Annotated[str | None, Parameter(help="A name for people.")] = None,
    approval: Annotated[bool, Parameter(help="A person must approve its result.")] = False,
    label: Annotated[list[str] | None, Parameter(help="A label; may be given several times.")] = None,
    timeout: Annotated[str | None, Parameter(help="End it after this time: 90s, 15m, 2h.")] = None,
    env: Annotated[list[str] | None, Parameter(metavar="NAME=VALUE", help="A variable; everybody can read it.")] = None,
    secret: Annotated[
        list[str] | None, Parameter(metavar="NAME", help="A secret that it gets as a variable; nobody reads its value.")
    ] = None,
    cwd: Annotated[str | None, Parameter(help="Folder on the desktop to run in.")] = None,
    run: Annotated[bool, Parameter(help="Start it at once.")] = False,
    watch: WatchIt = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> int:
    """Create a task, and print its id. It waits in pending unless --run or --watch starts it."""
    text = _stdin() if content == "-" else content
    body: dict[str, object] = {"type": kind, "content": text, "requiresApproval": approval}
    options = {
        "title": title,
        "labels": label,
        "timeoutSeconds": _seconds(timeout, "--timeout") if timeout else None,
        "env": _variables(env) if env else None,
        "secrets": secret,
        "cwd": cwd,
        "run": run or watch or None,
    }
    body |= {name: value for name, value in options.items() if value is not None}
    with open_client(server) as client:
        body["desktopId"] = find_desktop(client, desktop).id
        answer = client.post_once("/api/mission-control/tasks", body)
        if watch:
            return _watch(client, answer)
        _print_task(answer, json)
        return 0


@app.command(
    name="list",
    help_epilogue=examples(
        "mission-control tasks list --status running --status review",
        "mission-control tasks list --desktop build-1 --label nightly --json",
    ),
)
def list_(
    *,
    status: Annotated[list[Status] | None, Parameter(help="May be given several times.")] = None,
    desktop: Annotated[str | None, Parameter(name=["--desktop", "-d"], help="Id or name of the desktop.")] = None,
    type: Annotated[Kind | None, Parameter(help="Only these.")] = None,
    label: Annotated[str | None, Parameter(help="Only those with this label.")] = None,
    search: Annotated[str | None, Parameter(name=["--search", "-s"], help="Words in title or content.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    json: AsJson = False,
    server: Connection = HERE,
) -> None:
    """List tasks, newest first."""
    with open_client(server) as client:
        page = client.list(
            "/api/mission-control/tasks",
            _positive(limit, "--limit"),
            status=",".join(status) if status else None,
            desktopId=find_desktop(client, desktop).id if desktop else None,
            type=type,
            label=label,
            q=search,
        )
        if json:
            from .render import print_json

            print_json(page.body)
            return
        from ..domain.entities import Task
        from .render import note
        from .tables import print_tasks

        print_tasks(page.of(Task), desktop_names(client))
        if page.total > page.count:
            note(f"{page.total - page.count} more; see them with --limit {page.total}.")


@app.command(help_epilogue=examples("mission-control tasks show task_01jd… --json"))
def show(id: TaskId, /, *, json: AsJson = False, server: Connection = HERE) -> None:
    """Show what is known about a task."""
    from .client import decoded, task_path
    from .render import print_json

    with open_client(server) as client:
        answer = client.get(task_path(id))
        if json:
            print_json(answer)
            return
        from ..domain.entities import Task
        from .tables import print_task

        print_task(decoded(answer, Task), desktop_names(client))


@app.command(help_epilogue=examples("mission-control tasks run task_01jd… --watch") + EXIT_CODES)
def run(id: TaskId, /, *, watch: WatchIt = False, json: AsJson = False, server: Connection = HERE) -> int:
    """Start a pending task. It queues when its desktop is busy."""
    from .client import task_path

    with open_client(server) as client:
        answer = client.post_once(task_path(id, "/run"))
        if watch:
            return _watch(client, answer)
        _print_task(answer, json)
        return 0


@app.command(
    help_epilogue=examples(
        "mission-control tasks watch task_01jd… > build.log", "mission-control tasks watch task_01jd…"
    )
    + EXIT_CODES
)
def watch(id: TaskId, /, *, server: Connection = HERE) -> int:
    """Print a task's output from its beginning until it is over, on the streams it came from.

    For a prompt stdout is the agent's text, and what it did on the way goes to stderr. A lost connection is taken up
    where it stopped. Ctrl-C asks whether to cancel the task or to leave it running; a second one leaves.
    """
    from .client import task_path

    with open_client(server) as client:
        return _watch(client, client.get(task_path(id)))


@app.command(help_epilogue=examples("mission-control tasks cancel task_01jd… --wait 30"))
def cancel(
    id: TaskId,
    /,
    *,
    wait: Annotated[int, Parameter(help="Wait up to so many seconds for its end.")] = 0,
    json: AsJson = False,
    server: Connection = HERE,
) -> None:
    """Cancel a pending or running task. A running one ends when its processes are gone."""
    from .client import task_path

    with open_client(server) as client:
        answer = client.post(task_path(id, "/cancel"), wait=wait or None)
        _print_task(answer, json)


@app.command(
    help_epilogue=examples(
        "mission-control tasks review task_01jd… approve",
        "mission-control tasks review task_01jd… reject --feedback 'Only the last week, please' --retry",
    )
)
def review(
    id: TaskId,
    decision: Literal["approve", "reject"],
    /,
    *,
    feedback: Annotated[str | None, Parameter(name=["--feedback", "-f"], help="Why, or what to do better.")] = None,
    retry: Annotated[bool, Parameter(help="Create a follow-up that carries the feedback.")] = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> None:
    """Decide about a task in review: approve makes it done, reject makes it failed."""
    with open_client(server) as client:
        _print_task(decide(client, id, decision, feedback, retry), json)


@app.command(help_epilogue=examples("mission-control tasks retry task_01jd… --watch"))
def retry(
    id: TaskId,
    /,
    *,
    run: Annotated[bool, Parameter(help="Start it at once.")] = False,
    watch: WatchIt = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> int:
    """Create a new task with the same content, and print its id."""
    from ..domain.entities import Task
    from .client import decoded, task_path

    with open_client(server) as client:
        answer = client.post_once(task_path(id, "/retry"))
        if run or watch:
            answer = client.post_once(task_path(decoded(answer, Task).id, "/run"))
        if watch:
            return _watch(client, answer)
        _print_task(answer, json)
        return 0


@app.command(
    help_epilogue=examples(
        "mission-control tasks output task_01jd… --tail 20",
        "mission-control tasks output task_01jd… --stream stdout > result.bin",
        "mission-control tasks output task_01jd… --remove --yes",
    )
)
def output(
    id: TaskId,
    /,
    *,
    stream: Annotated[
        Literal["stdout", "stderr", "response", "all"] | None,
        Parameter(help="Only this one, byte for byte, to stdout; `response` is an agent's raw answer."),
    ] = None,
    tail: Annotated[int | None, Parameter(help="Only so many last lines.")] = None,
    remove: Annotated[
        bool, Parameter(help="Remove what was recorded, for good; that it was stays. Needs an admin.", negative="")
    ] = False,
    yes: Annotated[bool, Parameter(help="With --remove: do not ask.", negative="")] = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> int:
    """Print what was recorded so far: stdout to stdout, stderr to stderr; for a prompt the agent's answer."""
    from .output import print_output, remove_output

    with open_client(server) as client:
        if remove:
            return remove_output(client, id, is_confirmed=yes)
        return print_output(client, id, stream=stream, tail=tail, as_json=json)


def decide(client: Client, task_id: str, decision: str, feedback: str | None, retry: bool) -> bytes:
    """Approve or reject a task in review."""
    from .client import task_path

    body: dict[str, object] = {"decision": decision}
    if feedback is not None:
        body["feedback"] = feedback
    if retry:
        body["retry"] = True
    return client.post(task_path(task_id, "/review"), body)


def find_desktop(client: Client, name: str) -> Desktop:
    """The desktop of an id or a name. Raises Failed when there is none, or more than one of that name."""
    from ..domain.entities import Desktop

    desktops = client.list("/api/desktops", limit=10_000).of(Desktop)
    found = (
        [desktop for desktop in desktops if desktop.id == name]
        or [desktop for desktop in desktops if desktop.name == name]
        or [desktop for desktop in desktops if desktop.name.casefold() == name.casefold()]
    )
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(desktop.id for desktop in found)
        raise Failed(f"{len(found)} desktops have the name {name}; use an id: {ids}.", USAGE)
    names = (
        ", ".join(desktop.name for desktop in desktops[:10]) or "none yet; add one with `mission-control desktops add`"
    )
    raise Failed(f"There is no desktop {name}. There is: {names}{', …' if len(desktops) > 10 else ''}.")


def desktop_names(client: Client) -> dict[str, str]:
    """Every desktop's name by its id, removed ones included."""
    from ..domain.entities import Desktop

    desktops = client.list("/api/desktops", limit=10_000, removed="true").of(Desktop)
    return {desktop.id: desktop.name for desktop in desktops}


def _watch(client: Client, answer: bytes) -> int:
    from ..domain.entities import Task
    from .client import decoded
    from .watch import watch

    return watch(client, decoded(answer, Task))


def _print_task(answer: bytes, as_json: bool) -> None:
    """The task's id on stdout, for scripts; what became of it on stderr, for people."""
    from .client import decoded
    from .render import note, print_json

    if as_json:
        print_json(answer)
        return
    from ..domain.entities import Task

    task: Task = decoded(answer, Task)
    print(task.id)
    if sys.stderr.isatty():
        asked = task.status == "running" and task.cancel_requested_at is not None
        note(f"{task.status}{', cancel requested' if asked else ''}{_next_step(task.status, task.id)}")


def _next_step(status: str, id: str) -> str:
    match status:
        case "pending":
            return f"; start it: mission-control tasks run {id} --watch"
        case "running":
            return f"; follow it: mission-control tasks watch {id}"
        case _:
            return ""


def _stdin() -> str:
    from ..domain.limits import BODY_BYTES_MAX

    data = sys.stdin.buffer.read(BODY_BYTES_MAX + 1)
    if len(data) > BODY_BYTES_MAX:
        raise Failed(
            f"stdin holds more than {BODY_BYTES_MAX} bytes. Copy a file that large to the desktop instead.", USAGE
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Failed(f"stdin is not UTF-8 text: byte {error.start} is not.", USAGE) from None


def _seconds(text: str, flag: str) -> int:
    from .render import seconds_of

    try:
        return seconds_of(text)
    except ValueError as error:
        raise Failed(f"{flag}: {error}.", USAGE) from None


def _variables(pairs: list[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise Failed(f"--env {pair!r} is not of the form NAME=VALUE.", USAGE)
        variables[name] = value
    return variables


def _positive(number: int, flag: str) -> int:
    if number < 1:
        raise Failed(f"{flag} is at least 1.", USAGE)
    return number
