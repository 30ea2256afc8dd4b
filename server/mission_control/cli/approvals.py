"""`mission-control approvals …`: results that wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import Failed
from .help import examples
from .tasks import AsJson, decide, desktop_names

if TYPE_CHECKING:
    from ..domain.entities import Approval
    from .client import Client

PATH = "/api/mission-control/approvals"
LISTED_MAX = 1000

app = App(name="approvals", help="Decide about results that wait for a person.")

ApprovalId = Annotated[str, Parameter(help="The approval's id, or its task's.")]
Feedback = Annotated[str | None, Parameter(name=["--feedback", "-f"], help="Why, or what to do better.")]


@app.command(name="list", help_epilogue=examples("mission-control approvals list --all --json"))
def list_(
    *,
    all: Annotated[bool, Parameter(help="Also those that were decided.")] = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> None:
    """List what waits for a decision."""
    from ..domain.entities import Approval, Task
    from .render import print_json
    from .tables import print_approvals

    with open_client(server) as client:
        page = client.list(PATH, LISTED_MAX, status="all" if all else None)
        if json:
            print_json(page.body)
            return
        waiting = client.list("/api/mission-control/tasks", LISTED_MAX, status="review").of(Task)
        print_approvals(page.of(Approval), {task.id: task for task in waiting}, desktop_names(client))


@app.command(help_epilogue=examples("mission-control approvals approve appr_01jd…"))
def approve(id: ApprovalId, /, *, feedback: Feedback = None, server: Connection = HERE) -> None:
    """Accept a result: its task is done."""
    _decide(id, "approve", feedback, retry=False, server=server)


@app.command(help_epilogue=examples("mission-control approvals reject appr_01jd… --feedback 'Too long' --retry"))
def reject(
    id: ApprovalId,
    /,
    *,
    feedback: Feedback = None,
    retry: Annotated[bool, Parameter(help="Create a follow-up that carries the feedback.")] = False,
    server: Connection = HERE,
) -> None:
    """Turn a result down: its task is failed."""
    _decide(id, "reject", feedback, retry=retry, server=server)


def _decide(id: str, decision: str, feedback: str | None, *, retry: bool, server: Connection) -> None:
    with open_client(server) as client:
        task_id = _task_of(client, id)
        decide(client, task_id, decision, feedback, retry)
        print(task_id)


def _task_of(client: Client, id: str) -> str:
    from ..domain.entities import Approval

    if not id.startswith("appr_"):
        return id
    approvals: list[Approval] = client.list(PATH, LISTED_MAX, status="all").of(Approval)
    for approval in approvals:
        if approval.id == id:
            return approval.task_id
    raise Failed(f"There is no approval {id}. See `mission-control approvals list`.")
