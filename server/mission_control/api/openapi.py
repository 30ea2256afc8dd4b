"""The API's description, as OpenAPI 3.1, made from the route table: types, handlers' docstrings, permissions, codes.

`python -m mission_control.api.openapi` prints it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain import errors as e
from ..domain.errors import REFUSALS, Refusal
from ..domain.events import EVENTS
from ..domain.permissions import NEEDED
from ..domain.values import Value
from ..streams.wire import Show, Subscribe, Unsubscribe
from .answers import raw_answer
from .bodies import Nothing
from .idempotency import KEY_CHARACTERS_MAX
from .problems import MEDIA_TYPE, Problem
from .queries import NoQuery
from .routes import WITH_BODY, Route
from .services import services_of
from .views import Envelope

MESSAGES = (Subscribe, Unsubscribe, Show)
"""What a client may say on the WebSocket."""

REFERENCE = "#/components/schemas/{name}"

HEADERS = {
    "Mission-Control-Seq": ("integer", "The position of the log that the answer shows; subscribe after it."),
    "Mission-Control-Log": ("string", "The log that the position belongs to."),
    "Mission-Control-Total": ("integer", "How many there are in all."),
    "Mission-Control-Position": ("integer", "Bytes recorded of the run; ask for output after it to go on."),
    "Mission-Control-Removed": ("string", "`true` when recorded output was removed; what came before that is absent."),
    "Mission-Control-Lines": ("integer", "Display lines of the run so far, the one that has not ended included."),
    "Mission-Control-From": ("integer", "The number of the first row's line."),
    "Mission-Control-Style": (
        "string",
        "SGR parameters in force at the first row, by stream, as `o=1;31, e=, r=`: what was set at most 64 KiB before.",
    ),
    "Link": ("string", 'The rest of the list, as `<…>; rel="next"`, when it was cut.'),
    "Location": ("string", "The address of what was made."),
    "Set-Cookie": ("string", "The session's cookie."),
    "Idempotent-Replayed": ("string", "`true` when this answer was given before."),
}

SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "mission_control_<first 8 characters of serverId>",
        "description": "A browser's session. What changes something needs this server's own Origin beside it.",
    },
}


async def read_openapi(request: Request) -> Response:
    """This description of the API, as OpenAPI 3.1."""
    from .app import TABLE  # the table names this handler

    return raw_answer(msgspec.json.encode(describe(TABLE, services_of(request).version)))


def describe(table: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole description."""
    kinds = _kinds(table)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    schema_of = dict(zip(map(_key, kinds), schemas, strict=True))
    components["EventPayloads"] = {
        "description": "The payload of each event, by its type.",
        "type": "object",
        "properties": {name: schema_of[_key(kind)] for name, kind in EVENTS.items()},
    }
    for kind in _all_kinds(Value):
        if kind.__name__ in components:
            components[kind.__name__] |= getattr(kind, "RULES", {})
    _require_what_is_always_there(components, {_key(route.body): route.body for route in table}.values())
    paths: dict[str, Any] = {}
    for route in table:
        method = "get" if route.method == "WEBSOCKET" else route.method.lower()
        paths.setdefault(route.path, {})[method] = _operation(route, schema_of, _links(route, table))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mission Control",
            "version": version,
            "description": "Tasks on desktops: create, run, watch, review. Times are RFC 3339 in UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{name: []} for name in SECURITY],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": SECURITY},
        "x-error-codes": {
            refusal.code: {"status": refusal.status, "detail": refusal.sentence} for refusal in REFUSALS.values()
        },
    }


def _kinds(table: Iterable[Route]) -> list[Any]:
    """Every type that the description names, each once."""
    found: dict[str, Any] = {}
    for kind in (Problem, Envelope, *MESSAGES, *EVENTS.values()):
        found[_key(kind)] = kind
    for route in table:
        for kind in (route.answer.type, route.body):
            if kind is not None and kind is not Nothing:
                found[_key(kind)] = kind
    return list(found.values())


def _all_kinds(kind: type[Value]) -> Iterable[type[Value]]:
    """Every type of the wire. Some have `RULES`: what JSON Schema says about several fields at once."""
    for one in kind.__subclasses__():
        yield one
        yield from _all_kinds(one)


def _require_what_is_always_there(components: dict[str, Any], bodies: Iterable[Any]) -> None:
    """In what the server sends, a field with a default is there all the same; only in requests it may be left out."""
    said = (body for body in bodies if body is not Nothing)
    _, sent_to_us = msgspec.json.schema_components([*said, *MESSAGES])
    for name, schema in components.items():
        if (
            name not in sent_to_us
            and name not in (Subscribe.__name__, Unsubscribe.__name__, Show.__name__)
            and "properties" in schema
        ):
            there = [field for field, of in schema["properties"].items() if "default" in of or "const" in of]
            schema["required"] = sorted({*schema.get("required", []), *there})


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: Route, schema_of: dict[str, Any], links: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = inspect.getdoc(route.handler).partition("\n")  # type: ignore[union-attr]
    needs = "Needs no key." if route.access == "public" else f"Needs the role {NEEDED[route.access]}."
    operation: dict[str, Any] = {
        "operationId": _camel(route.handler.__name__),
        "summary": summary,
        "description": f"{more.strip()}\n\n{needs}".strip(),
        "tags": [_tag(route.path)],
        "parameters": _parameters(route),
        "responses": _answers(route, schema_of, links) | _refusals(route),
    }
    if route.access == "public":
        operation["security"] = []
    if route.method in WITH_BODY and route.body is not Nothing:
        content = {"application/json": {"schema": schema_of[_key(route.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.method == "WEBSOCKET":
        operation["x-websocket"] = {
            "fromClient": [schema_of[_key(kind)] for kind in MESSAGES],
            "events": schema_of[_key(Envelope)],
        }
    return operation


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _tag(path: str) -> str:
    steps = [step for step in path.split("/") if step not in ("", "api", "mission-control")]
    return steps[0].removesuffix(".json")


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not NoQuery:
        parameters += _query_parameters(route.query)
    if route.once:
        once = "Carries the request out once, however often it is sent in 24 h."
        parameters.append(_header("Idempotency-Key", once, f"^[!-~]([ -~]{{0,{KEY_CHARACTERS_MAX - 2}}}[!-~])?$"))
    if e.VERSION_MISMATCH in route.refusals:
        parameters.append(_header("If-Match", "Only if it is still this version.", r'^(\*|"[0-9]{1,18}"|[0-9]{1,18})$'))
    return parameters


def _query_parameters(query: type[Any]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(query)
    (described,) = schema["$defs"].values()
    parameters: list[dict[str, Any]] = []
    for name, of_field in described["properties"].items():
        given = [of for of in of_field.get("anyOf", [of_field]) if of != {"type": "null"}]  # null is "not given"
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": given[0]}
        if name in described.get("required", ()):
            parameter["required"] = True
        if given[0].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _header(name: str, description: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _answers(route: Route, schema_of: dict[str, Any], links: dict[str, Any]) -> dict[str, Any]:
    if route.method == "WEBSOCKET":
        return {"101": {"description": "The WebSocket is open; the server says hello."}}
    said = route.answer
    answer: dict[str, Any] = {"description": "No content." if said.status == 204 else "As asked for."}
    if said.status != 204:
        schema: dict[str, Any] = schema_of[_key(said.type)] if said.type is not None else {}
        answer["content"] = {media_type: {"schema": schema} for media_type in said.media_types}
    names = [*said.headers, *(["Idempotent-Replayed"] if route.once else [])]
    if names:
        answer["headers"] = {
            name: {"description": HEADERS[name][1], "schema": {"type": HEADERS[name][0]}} for name in names
        }
    if links:
        answer["links"] = links
    return {str(said.status): answer}


def _links(made: Route, table: Iterable[Route]) -> dict[str, Any]:
    """What can be done with a thing that a route makes: every route below its address."""
    if "Location" not in made.answer.headers or "{id}" in made.path:
        return {}
    names = [_camel(route.handler.__name__) for route in table if route.path.startswith(f"{made.path}/{{id}}")]
    return {name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in names}


def _refusals(route: Route) -> dict[str, Any]:
    """The errors of a route by status, each with its codes."""
    by_status: dict[int, dict[str, Refusal]] = {}
    for refusal in (*_usual(route), *route.refusals):
        by_status.setdefault(refusal.status, {})[refusal.code] = refusal
    problem = {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(name="Problem")}}}
    return {
        str(status): {
            "description": "\n".join(f"`{refusal.code}`: {refusal.sentence}" for refusal in refusals.values()),
            "content": problem,
        }
        for status, refusals in sorted(by_status.items())
    }


def _usual(route: Route) -> list[Refusal]:
    """What routes of its kind refuse."""
    usual = [e.HOST_REFUSED, e.ORIGIN_REFUSED, e.INTERNAL_ERROR]
    if route.access != "public":
        usual += [e.UNAUTHORIZED, e.FORBIDDEN, e.RATE_LIMITED]
    usual.append(e.UPGRADE_REQUIRED if route.method == "WEBSOCKET" else e.VALIDATION_FAILED)
    if route.method in WITH_BODY:
        usual += [e.MALFORMED_BODY, e.PAYLOAD_TOO_LARGE, e.UNSUPPORTED_MEDIA_TYPE]
    if route.once:
        usual += [e.IDEMPOTENCY_KEY_REUSED, e.IDEMPOTENCY_IN_PROGRESS]
    if route.access != "public":
        usual.append(e.LOG_UNAVAILABLE)
    return usual


if __name__ == "__main__":
    from .. import __version__
    from .app import TABLE

    text = msgspec.json.format(msgspec.json.encode(describe(TABLE, __version__)), indent=2)
    sys.stdout.write(text.decode() + "\n")
