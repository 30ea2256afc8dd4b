"""The description says what the routes are: every one, with its types, its permission and its errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mission_control.api.app import TABLE
from mission_control.api.openapi import describe
from mission_control.api.routes import Route
from mission_control.domain.errors import REFUSALS
from mission_control.domain.events import EVENTS
from tests.support.server import open_api

DESCRIPTION = describe(TABLE, "1.2.3")


def operation_of(route: Route) -> dict[str, Any]:
    return DESCRIPTION["paths"][route.path]["get" if route.method == "WEBSOCKET" else route.method.lower()]


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described(route: Route):
    operation = operation_of(route)
    assert operation["summary"].endswith((".", ".`"))
    named = {parameter["name"] for parameter in operation["parameters"]}
    assert ("id" in named) == ("{id}" in route.path)
    assert ("Idempotency-Key" in named) == route.once
    assert (operation.get("security") == []) == (route.access == "public")
    for refusal in route.refusals:
        assert f"`{refusal.code}`" in operation["responses"][str(refusal.status)]["description"]
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            assert list(response["content"]) == ["application/problem+json"]


def test_names_of_operations_are_unique():
    names = [operation_of(route)["operationId"] for route in TABLE]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere():
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set[str]()
            return own.union(*(references(inner) for inner in value.values()))
        return set[str]().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()

    schemas = DESCRIPTION["components"]["schemas"]
    for reference in references(DESCRIPTION):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_event_and_every_error_code_is_described():
    assert set(DESCRIPTION["components"]["schemas"]["EventPayloads"]["properties"]) == set(EVENTS)
    assert set(DESCRIPTION["x-error-codes"]) == set(REFUSALS)


def test_what_is_always_answered_is_required_and_what_may_be_left_out_is_not():
    schemas = DESCRIPTION["components"]["schemas"]
    assert set(schemas["TaskView"]["required"]) == set(schemas["TaskView"]["properties"])
    assert schemas["NewTask"]["required"] == ["type", "content", "desktopId"]
    assert "feedback" not in schemas["TaskCompleted"]["required"]


async def test_the_server_answers_its_description(tmp_path: Path):
    async with open_api(tmp_path) as api:
        said = (await api.as_("viewer").get("/openapi.json")).json()
        assert said["openapi"].startswith("3.1")
        assert said["info"]["version"] == "0.0.0-test"
        assert set(said["paths"]) == {route.path for route in TABLE}


def test_the_description_is_printed_by_a_command():
    printed = subprocess.run(
        [sys.executable, "-m", "mission_control.api.openapi"], check=True, capture_output=True, timeout=60
    )
    assert msgspec.json.decode(printed.stdout)["paths"].keys() == DESCRIPTION["paths"].keys()
    assert printed.stderr == b""
