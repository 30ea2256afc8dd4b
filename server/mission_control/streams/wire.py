"""The WebSocket's messages. From the server, events go as frames joined from bytes that were encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import msgspec

from ..domain.permissions import Permission
from ..domain.values import Value
from ..log.event_log import StoredEvent

PROTOCOL = 1
SUBSCRIPTIONS_MAX = 100  # of one socket
SHOWN_TASKS_MAX = 500  # named by one `show`
MESSAGE_BYTES_MAX = 64 * 1024  # from a client: a subscription is small

SIGNED_OUT, FORBIDDEN, SLOW, RESTARTING = 4401, 4403, 4408, 1012
"""Close codes: sign in again; not allowed; a peer that takes nothing; the server goes and comes back."""

OutputView = Literal["full", "tail", "none"]


class Subscribe(Value, tag_field="op", tag="subscribe", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Begin to follow the log from after a position; without one, from now."""

    id: str
    after: int | None = None
    log_id: str | None = None
    types: list[str] | None = None
    task_id: str | None = None
    desktop_id: str | None = None
    output: OutputView = "full"
    tail_lines: int = 200
    metrics: bool = False


class Unsubscribe(Value, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """End a subscription."""

    id: str


class Show(Value, tag_field="op", tag="show", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Say which tasks a subscription with `output: "tail"` shows: tails come for these only, beginning with their last
    lines. Each message replaces the one before; null is every task."""

    id: str
    task_ids: list[str] | None


ClientMessage = Subscribe | Unsubscribe | Show


class Rule(NamedTuple):
    """What a message needs, and what it is about, for a key that reaches only some desktops: of several desktops it
    gets what is in reach, its own subscriptions are its own."""

    needs: Permission
    about: Literal["several", "own subscription"]


RULES: dict[type[ClientMessage], Rule] = {
    Subscribe: Rule("read", "several"),
    Unsubscribe: Rule("read", "own subscription"),
    Show: Rule("read", "several"),
}
"""Who may say what: every message has its row here. Whether it may is asked for each message, not once for a socket."""

assert RULES.keys() == set(get_args(ClientMessage)), "each message has a rule"

_decoder = msgspec.json.Decoder(ClientMessage)
_encode = msgspec.json.Encoder().encode


def decode(message: str | bytes) -> ClientMessage:
    """A client's message. Raises msgspec.DecodeError (ValidationError among them) with a sentence."""
    return _decoder.decode(message)


def events_frame(id: str, events: Iterable[StoredEvent], cursor: int) -> bytes:
    """Events of one subscription, and its position after them."""
    parts = [b'{"op":"events","id":%s,"events":[' % _encode(id)]
    for event in events:
        parts += event.parts()
        parts.append(b",")
    parts[-1] = b'],"cursor":%d}' % cursor  # in place of the last comma
    return b"".join(parts)


def frame(op: str, **fields: object) -> bytes:
    """Any other message."""
    return _encode({"op": op, **fields})
