"""Reads JSON and text that anybody may have written: what has another shape than expected counts as absent."""

from __future__ import annotations

import json
import re
from typing import cast

import msgspec

from ...domain.progress import PlanItem
from ...domain.values import Usage

PLAN_ITEMS_MAX = 100  # steps of a plan; more is no overview
SAID_CHARACTERS_MAX = 500  # of what an endpoint says in an error; it is quoted in a sentence


def decoded(data: str | bytes) -> object:
    """The value of a JSON text; None where it is not valid (or null, which means as little here)."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Endpoints that count in UTF-16 may cut a character in two halves, which is JSON by its grammar only.
    if re.search(rb"\\u[dD][89a-fA-F]", data.encode() if isinstance(data, str) else data) is None:
        return None
    try:
        return cast(object, json.loads(data))
    except (ValueError, RecursionError):
        return None


def as_object(value: object) -> dict[str, object]:
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def content_of(value: object) -> str:
    """Content is text, or a list of parts of which some are text."""
    if isinstance(value, list):
        return "".join(as_text(as_object(part).get("text")) for part in as_list(cast(object, value)))
    return as_text(value)


def usage_of(value: object) -> Usage | None:
    figures = as_object(value)
    if not figures:
        return None
    prompt, completion, total = (_count(figures.get(f"{of}_tokens")) for of in ("prompt", "completion", "total"))
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total or prompt + completion)


def _count(value: object) -> int:
    return min(value, 2**53 - 1) if isinstance(value, int) and value > 0 else 0


def plan_of(arguments: str) -> tuple[PlanItem, ...]:
    """The steps of a plan as the tool `update_plan` gets them: `{"plan": [{"step", "status"}]}`."""
    items: list[PlanItem] = []
    for entry in map(as_object, as_list(as_object(decoded(arguments)).get("plan"))[:PLAN_ITEMS_MAX]):
        step, status = quoted(as_text(entry.get("step"))), entry.get("status")
        if step:
            items.append(PlanItem(step=step, status=status if status in ("in_progress", "completed") else "pending"))
    return tuple(items)


def said_in(value: object) -> str:
    """The message of an error in any of the shapes that endpoints give it."""
    for _ in range(4):
        if isinstance(value, list):
            value = next(iter(as_list(cast(object, value))), None)
        elif isinstance(value, dict):
            said = cast(dict[str, object], value)
            value = next((said[key] for key in ("error", "message", "detail", "msg", "type") if said.get(key)), None)
        else:
            break
    return quoted(as_text(value))


def quoted(text: str, characters_max: int = SAID_CHARACTERS_MAX) -> str:
    """Foreign text on one line and without control characters, fit to stand in a sentence of ours."""
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def after_colon(said: str) -> str:
    return f": {said.rstrip('.')}" if said else ""
