"""`mission-control`: the table of commands. Each is loaded when it is called, so that help and client start fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from .failures import BROKEN_PIPE, INTERRUPTED, USAGE, Failed
from .help import examples

_HERE = "mission_control.cli"


def _version() -> str:
    from .. import __version__

    return __version__


def _sentence(error: CycloptsError) -> str:
    return f"mission-control: {error}\nSee: mission-control --help"


app = App(
    name="mission-control",
    help="Run shell commands over SSH and prompts on AI agents across your desktops, and watch it live.",
    help_epilogue=examples(
        "mission-control serve --demo",
        "mission-control tasks create command 'df -h' --desktop 'Demo desktop' --watch",
        "mission-control open",
    )
    + "\n\nExit codes: 0 ok, 1 refused or failed, 2 wrong command line, 3 no server answers, 4 not allowed."
    + "\n\nWhich server: that of --data-dir through its socket, else MISSION_CONTROL_URL and MISSION_CONTROL_API_KEY.",
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=lambda value: None if value is False else value),
    version=_version,
    error_formatter=_sentence,
)
app.command(f"{_HERE}.serve:serve", name="serve", help="Start the server and its dashboard.")
app.command(f"{_HERE}.sign_in:open_", name="open", help="Print a link that signs a browser in, once.")
app.command(f"{_HERE}.tasks:app", name="tasks", help="Create, run, watch and review tasks.")
app.command(f"{_HERE}.desktops:app", name="desktops", help="Add, check and remove desktops.")
app.command(f"{_HERE}.known_hosts:app", name="known-hosts", help="Trust authorities for many hosts, and revoke keys.")
app.command(f"{_HERE}.approvals:app", name="approvals", help="Decide about results that wait for a person.")
app.command(f"{_HERE}.keys:app", name="keys", help="Make and revoke API keys.")
app.command(f"{_HERE}.secrets:app", name="secrets", help="Keep secrets that tasks are given.")
app.command(f"{_HERE}.log:app", name="log", help="Check the event log.")
app.register_install_completion_command(help="Install completion for your shell.")  # pyright: ignore[reportUnknownMemberType]


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command line, and exit with its code."""
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit does not fail too
        code = BROKEN_PIPE
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        return app(list(arguments), result_action="return_int_as_exit_code_else_zero")
    except Failed as failed:
        print(f"mission-control: {failed}", file=sys.stderr)
        return failed.exit_code
    except UnicodeEncodeError:
        print("mission-control: The command line holds bytes that are not UTF-8 text.", file=sys.stderr)
        return USAGE
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
