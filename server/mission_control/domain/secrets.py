"""Named secrets: what a task may be given as a variable, and what then never shows in its output.

Their values are sealed elsewhere (`log/vault.py`); here is what is known about them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from . import limits
from .entities import Secret
from .errors import NOT_FOUND, SECRET_EXISTS, SECRETS_FULL, FieldError, Refused, invalid
from .events import Event, SecretCreated, SecretRemoved, SecretUpdated
from .shapes import VARIABLE_PATTERN, SecretName, SecretValue
from .values import Actor, Time, Value

NAME = re.compile(VARIABLE_PATTERN.strip("^$"))


class NewSecret(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A secret as a person gives it; the value is never answered again."""

    name: SecretName
    value: SecretValue


class SecretEdit(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Another value for a secret."""

    value: SecretValue


def _check_value(value: str) -> None:
    size = len(value.encode(errors="surrogatepass"))
    if size > limits.SECRET_BYTES_MAX:
        raise invalid("/value", f"is {size} bytes long; a secret may have {limits.SECRET_BYTES_MAX}")
    if len(value.strip()) < limits.SECRET_CHARACTERS_MIN:
        raise invalid(
            "/value",
            f"is shorter than {limits.SECRET_CHARACTERS_MIN} characters, white space around it not counted: "
            "output could not be kept free of it",
        )
    if "\0" in value:
        raise invalid("/value", "holds a NUL character, which no variable can carry")


def create(new: NewSecret, secrets: Mapping[str, Secret], *, at: Time, actor: Actor) -> list[Event]:
    """A new secret."""
    if not NAME.fullmatch(new.name) or len(new.name) > limits.NAME_CHARACTERS_MAX:
        raise invalid(
            "/name",
            f"must have 1 to {limits.NAME_CHARACTERS_MAX} of A-Z, 0-9 and _, no digit first, as a variable has",
        )
    _check_value(new.value)
    if new.name in secrets:
        raise Refused(SECRET_EXISTS, name=new.name)
    if len(secrets) >= limits.SECRETS_MAX:
        raise Refused(SECRETS_FULL, count=len(secrets))
    who = actor.who
    return [SecretCreated(secret_name=new.name, created_at=at, created_by=who, updated_at=at, updated_by=who)]


def replace(secret: Secret | None, name: str, edit: SecretEdit, *, at: Time, actor: Actor) -> list[Event]:
    """Another value for a secret; what runs already keeps the one that it was given."""
    if secret is None:
        raise Refused(NOT_FOUND, kind="secret", id=name)
    _check_value(edit.value)
    return [
        SecretUpdated(
            secret_name=name,
            created_at=secret.created_at,
            created_by=secret.created_by,
            updated_at=at,
            updated_by=actor.who,
        )
    ]


def remove(secret: Secret | None, name: str, *, at: Time) -> list[Event]:
    """Forget a secret. A task that names it fails when it is to begin."""
    if secret is None:
        raise Refused(NOT_FOUND, kind="secret", id=name)
    return [SecretRemoved(secret_name=name, removed_at=at)]


def unknown(names: Sequence[str], secrets: Mapping[str, Secret], at: str = "") -> list[FieldError]:
    """What is wrong with the names that a task gives, one entry for each that is no secret."""
    return [
        FieldError(f"{at}/secrets/{index}", f"there is no secret {name}")
        for index, name in enumerate(names)
        if name not in secrets
    ]
