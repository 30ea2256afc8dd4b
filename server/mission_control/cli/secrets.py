"""`mission-control secrets …`: what tasks are given and nobody reads. A value is never part of a command line."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import USAGE, Failed
from .help import examples
from .tasks import AsJson

PATH = "/api/mission-control/secrets"

app = App(name="secrets", help="Keep secrets that tasks are given as variables.")

Name = Annotated[str, Parameter(help="Its name, as the variable that a command gets: A-Z, 0-9 and _.")]


@app.command(
    name="set",
    help_epilogue=examples(
        "mission-control secrets set NPM_TOKEN",
        "mission-control secrets set DEPLOY_KEY < ~/.ssh/deploy",
        "pass show npm | mission-control secrets set NPM_TOKEN",
    ),
)
def set_(name: Name, /, *, server: Connection = HERE) -> None:
    """Set a secret, new or anew. Its value is asked for without showing it, or read from standard input.

    One line end behind a value of one line is not part of it.
    """
    from ..domain.entities import Secret
    from .client import decoded, segment

    value = _value(name)
    with open_client(server) as client:
        if any(secret.name == name for secret in decoded(client.get(PATH), list[Secret])):
            client.patch(f"{PATH}/{segment(name)}", {"value": value})
        else:
            client.post(PATH, {"name": name, "value": value})
        print(name)


@app.command(name="list")
def list_(*, json: AsJson = False, server: Connection = HERE) -> None:
    """List the secrets by name. No part of a value is ever shown."""
    from ..domain.entities import Secret
    from .tables import print_listed, print_secrets

    print_listed(server, PATH, Secret, print_secrets, json=json)


@app.command
def remove(name: Name, /, *, server: Connection = HERE) -> None:
    """Forget a secret. Tasks that name it fail when they are to begin."""
    from .client import segment

    with open_client(server) as client:
        client.delete(f"{PATH}/{segment(name)}")
        print(name)


def _value(name: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"Value of {name}: ")
    try:
        value = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Failed("The value on standard input is not UTF-8 text.", USAGE) from None
    one_line = value.removesuffix("\n").removesuffix("\r")
    return one_line if "\n" not in one_line else value
