"""Every error has the one shape, whatever refused; and nothing is changed by a request that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from mission_control.domain import limits
from mission_control.domain.errors import REFUSALS
from mission_control.log.sqlite import Snapshot
from tests.support.server import SSH, open_api, problem


async def test_what_is_not_there_is_404_in_json_and_not_the_dashboard(tmp_path: Path):
    async with open_api(tmp_path) as api:
        for path in ("/tasks/task_0", "/tasks/task_0/output", "/tasks/task_0/events", "/batches/batch_0"):
            said = problem(await api.get(path), 404, "not_found")
            assert "_0" in said["detail"]
        for path in ("/nothing", "/api/desktops/desk_0", "/api", "/api/nothing", "/api/mission-control"):
            problem(await api.get(path), 404, "not_found")
        for path in ("/tasks/task_0/run", "/tasks/task_0/cancel", "/tasks/task_0/retry", "/batches/batch_0/run"):
            problem(await api.post(path), 404, "not_found")


async def test_a_method_that_is_not_possible_is_405_and_says_which_are(tmp_path: Path):
    async with open_api(tmp_path) as api:
        refused = await api.client.request("PUT", "/tasks")
        problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == "GET, HEAD, POST"
        for method in ("OPTIONS", "TRACE", "PROPFIND"):
            problem(await api.client.request(method, "/tasks"), 405, "method_not_allowed")
        refused = await api.delete("!/")
        problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_the_body(tmp_path: Path):
    async with open_api(tmp_path) as api:
        head, get = await api.client.head("/tasks"), await api.get("/tasks")
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["mission-control-total"] == "0"
        problem_on_stream = await api.client.head("/activity/stream")
        assert problem_on_stream.status_code == 405


async def test_the_socket_asked_as_a_page_says_what_it_is(tmp_path: Path):
    async with open_api(tmp_path) as api:
        problem(await api.get("/activity/ws"), 426, "upgrade_required")


async def test_a_fault_of_ours_shows_no_internals_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async def fail(*_: object) -> None:
        raise RuntimeError("the secret is hunter2")

    async with open_api(tmp_path) as api:
        monkeypatch.setattr(Snapshot, "rows", fail)
        said = problem(await api.get("/tasks"), 500, "internal_error")
        assert "hunter2" not in json.dumps(said)
        logged = capsys.readouterr().out
        assert "RuntimeError: the secret is hunter2" in logged
        assert api.keys["admin"] not in logged
        number = said["detail"].split()[-1].rstrip(".")
        assert number in logged


async def test_each_code_is_a_stable_word_with_a_sentence_and_a_status():
    for code, refusal in REFUSALS.items():
        assert code == refusal.code
        assert code.isidentifier()
        assert code == code.lower()
        assert 400 <= refusal.status < 600
        assert refusal.sentence.endswith((".", "}"))


JSON = "application/json"


async def send(api: Any, body: bytes | str, type: str | None = JSON, path: str = "/tasks") -> httpx2.Response:
    headers = {"content-type": type} if type else {}
    return await api.client.request("POST", path, content=body, headers=headers)


MALFORMED = {
    "empty": b"",
    "blank": b"  ",
    "cut": b'{"type": "command"',
    "trailing": b"{} x",
    "not UTF-8": b'{"type": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "NaN": b'{"timeoutSeconds": NaN}',
    "infinity": b'{"timeoutSeconds": -Infinity}',
    "a name twice": b'{"type": "command", "type": "prompt"}',
    "a name twice inside": b'{"env": {"A": "1", "A": "2"}}',
    "a name twice by escape": b'{"type": "command", "\\u0074ype": "prompt"}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep, but readable": b'{"env": ' + b"[" * 50 + b"]" * 50 + b"}",
    "a number of a thousand digits": b'{"timeoutSeconds": ' + b"9" * 10_000 + b"}",
    "single quotes": b"{'type': 'command'}",
    "a control character": b'{"content": "a\x00b"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_not_strictly_json_is_400(body: bytes, tmp_path: Path):
    async with open_api(tmp_path) as api:
        problem(await send(api, body), 400, "malformed_body")
        assert (await api.get("/tasks")).json() == []


INVALID: dict[str, tuple[Any, str, str]] = {
    "not an object": ([], "", "must be object"),
    "null": (None, "", "must be object"),
    "type missing": ({"type": ...}, "/type", "is needed"),
    "content missing": ({"content": ...}, "/content", "is needed"),
    "desktop missing": ({"desktopId": ...}, "/desktopId", "is needed"),
    "desktop not there": ({"desktopId": "desk_0"}, "/desktopId", "there is no desktop desk_0"),
    "unknown type": ({"type": "shell"}, "/type", "shell"),
    "unknown field": ({"cmd": "x"}, "/cmd", "is not a known field"),
    "unknown field with a slash": ({"a/b~c": "x"}, "/a~1b~0c", "is not a known field"),
    "number for text": ({"content": 3}, "/content", "must be str, not int"),
    "text for a flag": ({"requiresApproval": "yes"}, "/requiresApproval", "must be bool"),
    "number among labels": ({"labels": ["a", 3]}, "/labels/1", "must be str"),
    "number in env": ({"env": {"A": 1}}, "/env", "must be str"),
    "empty content": ({"content": ""}, "/content", "is empty"),
    "blank content": ({"content": " \n"}, "/content", "is empty"),
    "NUL in content": ({"content": "a\0b"}, "/content", "NUL"),
    "NUL in env": ({"env": {"A": "\0"}}, "/env", "NUL"),
    "long command": ({"content": "x" * (limits.COMMAND_BYTES_MAX + 1)}, "/content", "120001"),
    "long command in bytes": ({"content": "é" * 60_001}, "/content", "120002"),
    "long title": ({"title": "x" * 201}, "/title", "200"),
    "a label twice": ({"labels": ["a", "a"]}, "/labels", "twice"),
    "no time": ({"timeoutSeconds": 0}, "/timeoutSeconds", "between"),
    "huge time": ({"timeoutSeconds": 10**30}, "/timeoutSeconds", "between"),
    "fraction": ({"timeoutSeconds": 1.5}, "/timeoutSeconds", "must be int"),
    "env of a prompt": ({"type": "prompt", "env": {"A": "1"}}, "/env", "belongs to commands"),
    "bad variable": ({"env": {"A=B": "1"}}, "/env", "A=B"),
}


@pytest.mark.parametrize(("change", "pointer", "words"), INVALID.values(), ids=INVALID.keys())
async def test_what_is_not_valid_is_422_and_points_to_the_field(change: Any, pointer: str, words: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        body: Any = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        if isinstance(change, dict):
            body = {name: value for name, value in {**body, **change}.items() if value is not ...}
        else:
            body = change
        said = problem(await send(api, json.dumps(body)), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == pointer
        assert words in said["errors"][0]["message"]
        assert (await api.get("/tasks")).json() == []


async def test_the_largest_task_that_is_possible_is_taken(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop(agent=True)
        for kind, size in (("command", limits.COMMAND_BYTES_MAX), ("prompt", limits.PROMPT_BYTES_MAX)):
            body = {"type": kind, "content": "x" * size, "desktopId": desktop}
            assert (await api.post("/tasks", body)).status_code == 201
            body["content"] += "x"
            problem(await api.post("/tasks", body), 422, "validation_failed")


@pytest.mark.parametrize("where", ["content", "title", "desktopId"])
async def test_a_lone_surrogate_is_422_wherever_it_stands(where: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop(), where: "a\ud800b"}
        said = problem(await send(api, json.dumps(body)), 422, "validation_failed")
        assert said["errors"] == [{"pointer": f"/{where}", "message": "holds a lone surrogate, which is not text"}]
        name = problem(await send(api, b'{"\\ud800": 1}'), 422, "validation_failed")
        assert "surrogate" in name["errors"][0]["message"]


async def test_every_character_that_is_text_comes_back_as_it_was(tmp_path: Path):
    async with open_api(tmp_path) as api:
        content = "a\tb\r\n'\"`$\\ \u202e\u2028\uffff😀 é \x01\x7f"
        body = {"type": "command", "content": content, "desktopId": await api.running_desktop()}
        made = await api.post("/tasks", body)
        assert (await api.get(f"/tasks/{made.json()['id']}")).json()["content"] == content


@pytest.mark.parametrize(
    "type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None, f"{JSON}x", f"{JSON}; charset=x"],
)
async def test_a_body_that_is_not_sent_as_json_is_415(type: str | None, tmp_path: Path):
    async with open_api(tmp_path) as api:
        problem(await send(api, b"{}", type), 415, "unsupported_media_type")
        task = await api.task(await api.running_desktop())
        problem(await send(api, b"{}", type, f"/tasks/{task.id}/run"), 415, "unsupported_media_type")


async def test_json_with_its_charset_is_json(tmp_path: Path):
    async with open_api(tmp_path) as api:
        for type in ("application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
            problem(await send(api, b"[]", type), 422, "validation_failed")


async def test_a_body_over_its_limit_is_413_announced_or_not(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = b'{"content": "' + b"x" * limits.BODY_BYTES_MAX + b'"}'
        problem(await send(api, body), 413, "payload_too_large")
        sent = 0

        async def chunks() -> Any:
            nonlocal sent
            for _ in range(1000):
                sent += 64 * 1024
                yield b" " * (64 * 1024)
                await anyio.lowlevel.checkpoint()

        answer = await api.client.request(
            "POST", "/tasks", content=chunks(), headers={"content-type": "application/json"}
        )
        problem(answer, 413, "payload_too_large")
        problem(await send(api, b"x" * 3_000_000, path="/batches"), 400, "malformed_body")
        problem(await send(api, b"x" * (limits.BATCH_BODY_BYTES_MAX + 1), path="/batches"), 413, "payload_too_large")


async def test_where_no_body_is_expected_none_or_an_empty_object_is_taken(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        for body in (None, {}):
            task = await api.task(desktop)
            assert (await api.post(f"/tasks/{task.id}/run", body)).status_code == 200
        said = problem(await api.post(f"/tasks/{task.id}/cancel", {"force": True}), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/force"


QUERIES = {
    "/tasks?limit=0": "/limit",
    "/tasks?limit=1001": "/limit",
    "/tasks?limit=x": "/limit",
    "/tasks?limit=1&limit=2": "/limit",
    "/tasks?status=open": "/status/0",
    "/tasks?status=done,open": "/status/1",
    "/tasks?type=shell": "/type",
    "/tasks?order=random": "/order",
    "/tasks?order=queue&status=done": "/order",
    "/tasks?desktop=x": "/desktop",
    f"/tasks?q={'x' * 2001}": "/q",
    "/settings?x=1": "/x",
    "/activity?before=-1": "/before",
    "/activity?before=1e400": "/before",
    "/activity?types=task.nothing": "/types",
    "/approvals?status=approved": "/status",
    "/activity/stream?types=nothing": "/types",
    "/activity/stream?after=-1": "/after",
    "/activity/stream?aftr=1": "/aftr",
    "/api/desktops?removed=maybe": "/removed",
}


@pytest.mark.parametrize(("path", "pointer"), QUERIES.items(), ids=[path[:40] for path in QUERIES])
async def test_a_query_parameter_that_is_not_valid_is_422_and_named(path: str, pointer: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        said = problem(await api.get(path), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == pointer


async def test_output_parameters_are_checked(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        for query in ("after=1&tail=1", "stream=stdin", "format=html", "after=-1", "tail=x"):
            problem(await api.get(f"/tasks/{task.id}/output?{query}"), 422, "validation_failed")
        problem(await api.post(f"/tasks/{task.id}/cancel?wait=61"), 422, "validation_failed")


DESKTOPS: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": " "}, "/name"),
    "option as host": ({"ssh": {**SSH, "host": "-oProxyCommand=id"}}, "/ssh/host"),
    "newline in user": ({"ssh": {**SSH, "username": "a\nb"}}, "/ssh/username"),
    "port": ({"ssh": {**SSH, "port": 0}}, "/ssh/port"),
    "unknown sign-in": ({"ssh": {**SSH, "auth": {"kind": "magic"}}}, "/ssh/auth/kind"),
    "no sign-in": ({"ssh": {"host": "a"}}, "/ssh/auth"),
    "key without key": ({"ssh": {**SSH, "auth": {"kind": "key"}}}, "/ssh/auth/privateKey"),
    "fingerprint": ({"ssh": {**SSH, "hostKeyFingerprint": "MD5:00"}}, "/ssh/hostKeyFingerprint"),
    "agent elsewhere": ({"agent": {"kind": "openai", "url": "file:///etc/passwd"}}, "/agent/url"),
    "agent kind": ({"agent": {"kind": "x", "url": "http://a"}}, "/agent/kind"),
}


@pytest.mark.parametrize(("change", "pointer"), DESKTOPS.values(), ids=DESKTOPS.keys())
async def test_a_desktop_that_is_not_valid_is_422_and_no_host_is_asked(
    change: dict[str, Any], pointer: str, tmp_path: Path
):
    async with open_api(tmp_path) as api:
        said = problem(await api.post("/api/desktops", {"name": "web", "ssh": SSH, **change}), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == pointer
        assert api.hosts.asked == []
        assert "hunter2" not in json.dumps(said)
