"""Bodies of requests: bounded while they are read, strictly JSON, and decoded into the structs of the domain.

What JSON parsers read differently is refused: a name that stands twice, NaN, a byte order mark, a lone surrogate. So
nothing that passes here means something else to whoever checked it before us.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any, NoReturn

import msgspec
from starlette.requests import Request

from ..domain.errors import (
    MALFORMED_BODY,
    PAYLOAD_TOO_LARGE,
    REQUEST_TIMEOUT,
    UNSUPPORTED_MEDIA_TYPE,
    FieldError,
    Refused,
    invalid,
    invalid_fields,
)
from ..domain.values import Value
from .connections import whole_body
from .services import header_of

BODY_SECONDS = 10.0  # for a body to come, and so much more for what has come
BODY_BYTES_PER_SECOND = 16 * 1024  # a slow link; somebody who sends a byte now and then is slower
INTEGER_MAX = 2**53  # up to which a float is exact
DEPTH_MAX = 32  # the deepest body of ours has 4 levels

_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_AT_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)


class Nothing(Value, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing: absent, or `{}`."""


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, if it is JSON by its type and not larger than the limit; never more than that is kept."""
    announced = header_of(request, b"content-length") or ""
    if announced.isdigit() and (len(announced) > 15 or int(announced) > bytes_max):
        raise Refused(PAYLOAD_TOO_LARGE, limit=bytes_max)
    body = whole_body(request.receive)
    if body is None:
        body = await _wait_for_body(request, bytes_max)
    if len(body) > bytes_max:
        raise Refused(PAYLOAD_TOO_LARGE, limit=bytes_max)
    if body:
        _check_type(request)
    return body


async def _wait_for_body(request: Request, bytes_max: int) -> bytes:
    """The body as it comes, as long as it comes fast enough; more than the limit is not waited for."""
    body = bytearray()
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        async with asyncio.timeout_at(begun + BODY_SECONDS) as patience:  # a fifth of the cost of anyio's
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    break
                if len(body) >= BODY_BYTES_PER_SECOND:
                    patience.reschedule(begun + BODY_SECONDS + len(body) / BODY_BYTES_PER_SECOND)
    except TimeoutError:
        raise Refused(REQUEST_TIMEOUT, seconds=round(clock() - begun)) from None
    return bytes(body)


def _check_type(request: Request) -> None:
    given = header_of(request, b"content-type") or ""
    if given == "application/json":
        return
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise Refused(UNSUPPORTED_MEDIA_TYPE, given=given[:100] or "without a content type")


def decode_body(body: bytes, kind: type[Any]) -> Any:
    """The struct that a body describes. Raises Refused with a pointer to what is wrong."""
    if not body and kind is Nothing:
        return Nothing()
    value = _parse(body)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        pointer, message = explain(str(error))
        raise invalid(pointer, message) from None


def _parse(body: bytes) -> object:
    """Plain JSON values. The standard parser is used since it shows names that stand twice."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(MALFORMED_BODY, reason=f"byte {error.start} is not UTF-8.") from None
    if not text.strip():
        raise Refused(MALFORMED_BODY, reason="it is empty.")
    try:
        value = _decoder.decode(text)
    except _Twice as twice:
        raise Refused(MALFORMED_BODY, reason=f"the name {twice} stands twice in one object.") from None
    except RecursionError:
        raise Refused(MALFORMED_BODY, reason="it is nested too deeply.") from None
    except ValueError as error:
        raise Refused(MALFORMED_BODY, reason=f"{str(error)[:200]}.") from None
    has_escapes = "\\u" in text
    if has_escapes or text.count("[") + text.count("{") > DEPTH_MAX:  # else it cannot be too deep
        _check_values(value, has_escapes=has_escapes)
    return value


class _Twice(Exception):
    """A name stands twice in one object."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)[:100]))
    return found


def _number(text: str) -> float:
    """A number with a fraction or an exponent. `60.0` and `6e1` are integers, as JSON Schema has it."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return int(value) if value.is_integer() and abs(value) <= INTEGER_MAX else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)


def _check_values(value: object, *, has_escapes: bool) -> None:
    """Refuse what is nested deeper than any body of ours, and lone surrogates, which only escapes can bring."""
    errors: list[FieldError] = []
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting:
        pointer, value, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise Refused(MALFORMED_BODY, reason="it is nested too deeply.")
        if isinstance(value, dict):
            for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                assert isinstance(name, str)
                if has_escapes and not _is_text(name):
                    errors.append(FieldError(pointer, "has a field whose name holds a lone surrogate"))
                waiting.append((f"{pointer}/{escape(name)}", inner, depth + 1))  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{index}", inner, depth + 1) for index, inner in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif has_escapes and isinstance(value, str) and not _is_text(value):
            errors.append(FieldError(pointer, "holds a lone surrogate, which is not text"))
    if errors:
        raise invalid_fields(errors[:20])


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def explain(error: str) -> tuple[str, str]:
    """Where and what is wrong, by msgspec's message, such as ``Expected `str`, got `int` - at `$.labels[1]` ``."""
    found = _AT_PATH.match(error)
    assert found is not None
    what, path = found["what"], found["path"] or "$"
    pointer = "".join(f"/{escape(name or index)}" for name, index in _PATH_STEP.findall(path))
    if field := _FIELD.match(what):
        is_missing = what.startswith("Object missing")
        return f"{pointer}/{escape(field['name'])}", "is needed" if is_missing else "is not a known field"
    what = what.replace("`", "")
    if what.startswith("Expected "):
        return pointer, what.replace("Expected", "must be", 1).replace(", got ", ", not ", 1)
    return pointer, f"is not valid: {what[:1].lower()}{what[1:]}"
