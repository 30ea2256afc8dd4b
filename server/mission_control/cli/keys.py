"""`mission-control keys …`: who may do what from elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import USAGE, Failed
from .help import examples
from .tasks import AsJson

PATH = "/api/auth/api-keys"

app = App(name="keys", help="Make and revoke API keys.")


class _New(msgspec.Struct):
    key: str


@app.command(
    help_epilogue=examples(
        "export MISSION_CONTROL_API_KEY=$(mission-control keys create laptop --role operator)",
        "mission-control keys create ci --role viewer --expires 30d",
        "mission-control keys create contractor --desktop-label staging --desktop-label demo",
    )
)
def create(
    name: Annotated[str, Parameter(help="What or whom it is for.")],
    /,
    *,
    role: Annotated[
        Literal["viewer", "operator", "admin"],
        Parameter(help="viewer reads; operator also creates, runs and reviews; admin also manages desktops and keys."),
    ] = "operator",
    expires: Annotated[str | None, Parameter(help="After 12h or 30d, or at 2027-01-31T12:00:00Z.")] = None,
    desktop_label: Annotated[
        list[str] | None,
        Parameter(help="Only for desktops that carry this label, or one of several; not for admins."),
    ] = None,
    server: Connection = HERE,
) -> None:
    """Make a key, and print it, and nothing else. It is shown this once."""
    from .client import decoded

    body: dict[str, object] = {"name": name, "role": role}
    if expires is not None:
        body["expiresAt"] = _moment(expires)
    if desktop_label:
        body["desktopLabels"] = desktop_label
    with open_client(server) as client:
        print(decoded(client.post(PATH, body), _New).key)


@app.command(name="list")
def list_(*, json: AsJson = False, server: Connection = HERE) -> None:
    """List the keys, by their last four characters."""
    from .tables import UsedKey, print_keys, print_listed

    print_listed(server, PATH, UsedKey, print_keys, json=json)


@app.command(help_epilogue=examples("mission-control keys revoke laptop", "mission-control keys revoke key_01jd…"))
def revoke(
    key: Annotated[str, Parameter(help="Its id, or its name where only one has it.")],
    /,
    *,
    server: Connection = HERE,
) -> None:
    """End a key at once, with everything that is open by it."""
    from ..domain.entities import Key
    from .client import decoded, segment

    with open_client(server) as client:
        keys = decoded(client.get(PATH), list[Key])
        found = [one for one in keys if one.id == key] or [one for one in keys if one.name == key]
        if len(found) > 1:
            raise Failed(
                f"{len(found)} keys have the name {key}; use an id: {', '.join(one.id for one in found)}.", USAGE
            )
        if not found:
            raise Failed(f"There is no key {key}. See `mission-control keys list`.")
        client.delete(f"{PATH}/{segment(found[0].id)}")
        print(found[0].id)


def _moment(text: str) -> str:
    """A time to come, given as such or as how long from now."""
    from ..domain.times import microseconds, rfc3339
    from .render import now_us, seconds_of

    try:
        return rfc3339(now_us() + seconds_of(text) * 1_000_000)
    except (ValueError, OverflowError):
        pass
    try:
        return rfc3339(microseconds(text))
    except (ValueError, OverflowError):
        raise Failed(f"--expires {text!r} is neither a time such as 30d nor 2027-01-31T12:00:00Z.", USAGE) from None
