"""Query parameters: a struct for each route, strictly checked. A list is written with commas: `status=done,failed`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, get_origin, get_type_hints

import msgspec
from msgspec import Meta
from starlette.requests import Request

from ..domain import limits
from ..domain.entities import TaskStatus, TaskType
from ..domain.errors import FieldError, invalid, invalid_fields
from ..domain.events import EVENTS
from ..domain.filters import PATTERNS, types_of
from ..domain.values import Value
from ..streams.lines import PAGE_LINES_MAX
from .bodies import explain

VALUE_CHARACTERS_MAX = 2000
FOUND_LINES_MAX = 10_000  # numbers in one answer

Text = Annotated[str, Meta(extra_json_schema={"maxLength": VALUE_CHARACTERS_MAX})]
EventType = Annotated[str, Meta(extra_json_schema={"enum": [*PATTERNS, *EVENTS]})]
Limit = Annotated[int, Meta(ge=1, le=limits.LIST_LIMIT_MAX)]
Position = Annotated[int, Meta(ge=0, le=2**62)]


class NoQuery(Value, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class TasksQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Which tasks, in which order; `before` is the id of the last task of the page before.

    `q` is looked for in content, title and labels without regard to case, and may be a whole id; `sameAs` is the id of
    a task, for those of its type whose content begins as its does. `since` and `until` are RFC 3339 times: of the end
    with `order=ended`, else of the creation; `until` itself is left out.
    """

    status: tuple[TaskStatus, ...] = ()
    desktop_id: Text | None = None
    type: TaskType | None = None
    batch_id: Text | None = None
    label: Text | None = None
    q: Text | None = None
    same_as: Text | None = None
    created_by: Text | None = None
    since: Text | None = None
    until: Text | None = None
    order: Literal["created", "ended", "queue"] = "created"
    before: Text | None = None
    limit: Limit = limits.LIST_LIMIT_DEFAULT


class OverviewQuery(Value, frozen=True, forbid_unknown_fields=True):
    """How many hours the figures look back, the present one included."""

    hours: Annotated[int, Meta(ge=1, le=limits.OVERVIEW_HOURS_MAX)] = 24


class CancelQuery(Value, frozen=True, forbid_unknown_fields=True):
    """How many seconds to wait for the end."""

    wait: Annotated[float, Meta(ge=0, le=60)] = 0


class OutputQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Which output, from where.

    Without `stream` it is stdout and stderr; `all` is also an agent's raw `response`. `after` is a position of the
    run, in bytes; `tail` the number of last lines.
    """

    stream: Literal["stdout", "stderr", "response", "all"] | None = None
    after: Position | None = None
    tail: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    format: Literal["text", "ndjson"] = "text"


class LinesQuery(Value, frozen=True, forbid_unknown_fields=True):
    """From which display line on, or the last ones; at most so many. `log` is the id of the log that the caller knows:
    a page that cannot change any more may then be kept."""

    start: Annotated[int, Meta(ge=0, le=2**53)] = msgspec.field(name="from", default=0)
    count: Annotated[int, Meta(ge=1, le=PAGE_LINES_MAX)] = PAGE_LINES_MAX
    tail: Annotated[int, Meta(ge=0, le=PAGE_LINES_MAX)] | None = None
    log: str | None = None


class FindQuery(Value, frozen=True, forbid_unknown_fields=True):
    """What to find, from which display line on: a text, or with `regex` a regular expression (Python's); with `case`,
    upper and lower case differ. At most `limit` line numbers are answered; all that were found are counted."""

    q: Annotated[str, Meta(min_length=1, max_length=1000)]
    regex: bool = False
    case: bool = False
    stream: Literal["stdout", "stderr", "response", "all"] = "all"
    start: Annotated[int, Meta(ge=0, le=2**53)] = msgspec.field(name="from", default=0)
    limit: Annotated[int, Meta(ge=0, le=FOUND_LINES_MAX)] = FOUND_LINES_MAX


class EventsQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Events after a position; without output and progress unless `types` names them."""

    after: Position = 0
    types: tuple[EventType, ...] = ()
    limit: Limit = limits.LIST_LIMIT_MAX


class BatchesQuery(Value, frozen=True, forbid_unknown_fields=True):
    """`before` is the id of the last batch of the page before."""

    before: Text | None = None
    limit: Limit = limits.LIST_LIMIT_DEFAULT


class ApprovalsQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Pending ones, unless told otherwise."""

    status: Literal["pending", "all"] = "pending"
    before: Text | None = None
    limit: Limit = limits.LIST_LIMIT_MAX


class ActivityQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Past events before a position; without output and progress unless `types` names them. `actor` is an id."""

    before: Position | None = None
    types: tuple[EventType, ...] = ()
    task_id: Text | None = None
    desktop_id: Text | None = None
    actor: Text | None = None
    limit: Limit = limits.LIST_LIMIT_DEFAULT


class ActivityStreamQuery(Value, frozen=True, forbid_unknown_fields=True):
    """Which events, from after which position; without one, from now."""

    after: Text | None = None
    types: Text | None = None
    task_id: Text | None = None
    desktop_id: Text | None = None


class DesktopsStreamQuery(Value, frozen=True, forbid_unknown_fields=True):
    """From after which position; without one, from now."""

    after: Text | None = None


class DesktopsQuery(Value, frozen=True, forbid_unknown_fields=True):
    """`before` is the id of the last desktop of the page before; `removed` shows removed ones too."""

    removed: bool = False
    before: Text | None = None
    limit: Limit = limits.LIST_LIMIT_MAX


class SessionsQuery(Value, frozen=True, forbid_unknown_fields=True):
    """`others` spares the session that asks."""

    others: bool = False


class StopQuery(Value, frozen=True, forbid_unknown_fields=True):
    """`drain=false` cancels what runs there."""

    drain: bool = True


def decode_query(request: Request, kind: type[Any]) -> Any:
    """The parameters of a request. Raises Refused with `/name` of what is wrong."""
    if kind is NoQuery and not request.scope["query_string"]:
        return _NO_QUERY
    values: dict[str, object] = {}
    lists = _lists(kind)
    errors: list[FieldError] = []
    several: dict[str, list[str]] = {}
    for name, text in request.query_params.multi_items():
        if name in lists:
            values[name] = several.setdefault(name, [])
            several[name] += [part.strip() for part in text.split(",") if part.strip()]
        elif name in values:
            errors.append(FieldError(f"/{name}", "is given twice"))
        else:
            values[name] = text
        if len(text) > VALUE_CHARACTERS_MAX:
            errors.append(FieldError(f"/{name}", f"is longer than {VALUE_CHARACTERS_MAX} characters"))
    known = {field.encode_name for field in _fields(kind)}
    for name in values:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            errors.append(FieldError(f"/{name[:100]}", f"is not a known query parameter; known: {allowed}"))
    if errors:
        raise invalid_fields(errors)
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(*explain(str(error))) from None
    for field in _fields(kind):
        if field.encode_name in values and getattr(query, field.name) is None:  # the text "null" is no value
            raise invalid(f"/{field.encode_name}", "is null; leave it out instead")
    return query


_NO_QUERY = NoQuery()
_fields = cache(msgspec.structs.fields)


@cache
def _lists(kind: type[Any]) -> frozenset[str]:
    """The parameters that take several values."""
    hints = get_type_hints(kind)
    return frozenset(field.encode_name for field in _fields(kind) if get_origin(hints[field.name]) is tuple)


def event_types(patterns: Iterable[str]) -> frozenset[str] | None:
    """The event types that exact names and `prefix.*` patterns name; None for no pattern. Patterns leave bulk out."""
    patterns = list(patterns)
    if not patterns:
        return None
    try:
        return types_of(patterns, bulk=False)
    except ValueError as error:
        raise invalid("/types", str(error)) from None
