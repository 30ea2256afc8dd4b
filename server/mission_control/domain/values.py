"""Small values that several concepts share."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

Time = str
"""RFC 3339 in UTC with microseconds and `Z`; sorts as text."""

Role = Literal["viewer", "operator", "admin"]
"""viewer reads; operator also creates, runs, reviews, cancels; admin also manages desktops, keys and settings."""

ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")


class Value(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """An immutable value, camelCase on the wire. None is part of a cycle, so the collector does not look at them."""


JOINERS = "\u200c\u200d"
"""They shape words of Persian and of Indian scripts, and make one emoji of several; by themselves they do not show."""


def is_name(text: str, characters_max: int) -> bool:
    """Whether it can stand for a thing on one line: it begins with something that shows, and nothing in it hides."""
    shown = text.lstrip(" ")
    if not shown or shown[0] in JOINERS or len(text) > characters_max:
        return False
    return all(character.isprintable() or character in JOINERS for character in shown)


class Actor(Value, frozen=True, kw_only=True):
    """Who did it: a key, a person's session, the local administration socket, or the system itself.

    As the actor of an event it also says by what (`via`) and, to admins, from which address (`from`) it was done.
    """

    id: str
    name: str
    via: Literal["key", "session", "local"] | UnsetType = UNSET
    address: str | UnsetType = field(name="from", default=UNSET)

    @property
    def who(self) -> Actor:
        """Only who it was: for objects, which outlive the place where it was done."""
        return Actor(id=self.id, name=self.name)


SYSTEM = Actor(id="system", name="Mission Control")


class Error(Value, frozen=True, kw_only=True):
    """Why something failed: a stable code, and a sentence that says what happened and what to do."""

    code: str
    message: str


class LeftRunning(Value, frozen=True, kw_only=True):
    """A process that outlived its command on the desktop."""

    pid: int
    user: str
    command: str

    def __str__(self) -> str:
        return f"pid {self.pid} of {self.user}: {self.command}"


class StreamSums(Value, frozen=True, kw_only=True):
    """What one stream of a run was in all, as it was counted at the command's pipe."""

    bytes: int
    crc: int  # CRC-32
    sha256: str  # hexadecimal


class Usage(Value, frozen=True, kw_only=True):
    """Tokens that an agent reported for one prompt."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
