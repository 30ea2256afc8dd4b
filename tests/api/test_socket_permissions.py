"""Who may say what on an open WebSocket: every message and every role, from the table of messages.

ASVS 5.0: 8.2.1 (function-level access), 8.2.2 (data-specific access), 8.3.1 (enforced by the service), 8.3.2 (changes
of rights are applied immediately).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from mission_control.domain.keys import NewKey
from mission_control.domain.permissions import NEEDED, Permission, may
from mission_control.domain.values import ROLES, SYSTEM, Role
from mission_control.streams import wire
from tests.api.test_reach import Peer, World, connected, world

MESSAGES: dict[type[wire.ClientMessage], list[dict[str, Any]]] = {
    wire.Subscribe: [{"after": 0}, {"after": 0, "output": "tail", "metrics": True}],
    wire.Unsubscribe: [{}],
    wire.Show: [{"taskIds": None}, {"taskIds": ["the others"]}],
}
"""What is said of each kind, beside its op and the id of a subscription that is there; a new kind needs a row."""

KINDS = get_args(wire.ClientMessage)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)


def op_of(kind: type[wire.ClientMessage]) -> str:
    return str(kind.__struct_config__.tag)


def test_each_message_has_a_rule_and_a_row_in_this_test():
    assert set(wire.RULES) == set(KINDS) == set(MESSAGES)


async def key_of(at: World, role: Role, *, is_restricted: bool) -> str:
    labels = ("web",) if is_restricted else ()
    _, secret = await at.api.control.access.keys.create(NewKey(name="k", role=role, desktop_labels=labels), SYSTEM)
    return secret


async def say(peer: Peer, at: World, kind: type[wire.ClientMessage], facts: dict[str, Any]) -> None:
    """Say something of a subscription that is there, and wait until whatever it brought has arrived."""
    given = {"taskIds": [at.ids["db"]["a task"]]} if facts.get("taskIds") == ["the others"] else {}
    await peer.say(op=op_of(kind), id="mine", **(facts | given))
    await peer.say(op="unsubscribe", id="")
    await peer.say(op="subscribe", id="after it", after=0, types=["settings.*"])
    await peer.until(lambda: peer.has("live", "after it") or peer.has("error", "after it"))


CASES = [
    (kind, facts, role, is_restricted, needs)
    for kind in KINDS
    for facts in MESSAGES[kind]
    for role in ROLES
    for is_restricted in (False, True)
    if not (is_restricted and role == "admin")
    for needs in (None, *PERMISSIONS)
]


@pytest.mark.parametrize(
    ("kind", "facts", "role", "is_restricted", "needs"),
    CASES,
    ids=lambda value: op_of(value) if isinstance(value, type) else str(value).replace(" ", ""),
)
async def test_a_message_is_obeyed_as_its_rule_says(
    kind: type[wire.ClientMessage],
    facts: dict[str, Any],
    role: Role,
    is_restricted: bool,
    needs: Permission | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """With the rules as they are (`None`), and with each other permission that a message could need."""
    async with world(tmp_path) as at:
        reader = at.api.as_(await key_of(at, role, is_restricted=is_restricted))
        async with connected(reader) as peer:
            await peer.say(op="subscribe", id="mine", output="tail")
            await peer.until(lambda: peer.has("live", "mine"))
            rule = wire.RULES[kind]
            if needs is not None:
                rule = rule._replace(needs=needs)
                monkeypatch.setitem(wire.RULES, kind, rule)
            await say(peer, at, kind, facts)
            refused = [frame for frame in peer.frames if frame["op"] == "error" and frame.get("id") == "mine"]
            if may(role, rule.needs):
                assert not refused
            else:
                assert [frame["code"] for frame in refused] == ["forbidden"]
                assert NEEDED[rule.needs] in refused[0]["detail"]
            if is_restricted:
                assert not [secret for secret in at.secrets() if secret in json.dumps(peer.frames)]


@pytest.mark.parametrize("kind", KINDS, ids=op_of)
async def test_a_message_after_the_key_has_ended_is_not_obeyed(kind: type[wire.ClientMessage], tmp_path: Path):
    async with world(tmp_path) as at:
        made, secret = await at.api.control.access.keys.create(NewKey(name="k", role="viewer"), SYSTEM)
        async with connected(at.api.as_(secret)) as peer:
            await peer.say(op="subscribe", id="mine", output="none", types=["settings.*"])
            await peer.until(lambda: peer.has("live", "mine"))
            told = len(peer.frames)
            await at.api.control.access.revoke_key(made.id, SYSTEM, by_owner=True)
            await peer.say(op=op_of(kind), id="mine", **MESSAGES[kind][0])
            await peer.until(lambda: peer.code is not None)
            assert peer.code == wire.SIGNED_OUT
            assert all(frame["op"] == "error" for frame in peer.frames[told:]), peer.frames[told:]
