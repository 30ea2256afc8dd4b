"""The demo agent behind its real endpoint: it does what it says, and stops when nobody listens."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mission_control.demo.agent import BODY_BYTES_MAX, open_agent
from mission_control.demo.model import Model
from mission_control.demo.samples import write_samples
from mission_control.demo.shell import Shell
from mission_control.demo.skills import FEEDBACK_MARK, SKILLS, Asked, commands_in, explanation
from mission_control.domain.entities import Task
from mission_control.domain.events import TaskCreated
from mission_control.domain.progress import Progress, gather
from mission_control.domain.tasks import retry
from mission_control.domain.values import Actor
from mission_control.runs.agents.openai_chat import Outcome, ResponseParser
from tests.support.chat_endpoint import DONE, Script, chunk, open_chat_endpoint, replies, sse, tool_call
from tests.support.processes import is_alive
from tests.support.waiting import until

TOKEN = "test-token"


class Agent:
    """A running demo agent and a client that knows its token."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def ask(self, prompt: str, feedback: str | None = None) -> tuple[list[Progress], Outcome]:
        """Its progress as the product reads it, gathered, and the outcome."""
        parser = ResponseParser(status=200, content_type="text/event-stream")
        progress: list[Progress] = []
        async with self.stream(prompt, feedback) as response:
            assert response.status_code == 200
            async for data in response.aiter_raw():
                progress += parser.feed(data)
        progress += parser.finish()
        assert parser.outcome is not None
        return gather(progress), parser.outcome

    def stream(self, prompt: str, feedback: str | None = None) -> Any:
        body = {"messages": [{"role": "user", "content": _asked(prompt, feedback)}], "stream": True}
        return self.client.stream("POST", "/chat/completions", json=body)


@asynccontextmanager
async def open_demo_agent(folder: Path, model: Model | None = None) -> AsyncGenerator[Agent]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with open_agent(listener, Shell(folder), token=TOKEN, model=model, pace=0):
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
            yield Agent(url, client)


def result_of(outcome: Outcome) -> str:
    assert outcome.error is None, outcome.error
    assert outcome.result is not None
    return outcome.result


async def test_a_command_in_backticks_is_really_run_and_its_output_told(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        progress, outcome = await agent.ask("Please run `echo hello > made.txt; cat made.txt` for me")
    assert (tmp_path / "made.txt").read_text() == "hello\n"
    (started,) = [item for item in progress if item.kind == "tool.started"]
    assert started.name == "shell"
    assert json.loads(started.input or "") == {"command": "echo hello > made.txt; cat made.txt"}
    assert [item.output for item in progress if item.kind == "tool.output"] == ["hello\n"]
    kinds = [item.kind for item in progress]
    assert kinds.index("plan") < kinds.index("tool.started") < kinds.index("tool.finished") < kinds.index("text")
    assert "```\nhello\n```" in result_of(outcome)


async def test_a_command_that_fails_is_told_as_failed(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        _, outcome = await agent.ask("Run `ls /no/such/place` and `true`")
    assert "**1 of 2 failed**" in result_of(outcome)
    assert "**exit code 2**" in result_of(outcome)


async def test_the_plan_is_followed_step_by_step(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        progress, _ = await agent.ask("Run `echo one` then `echo two`")
    plans = [[item.status for item in one.items or ()] for one in progress if one.kind == "plan"]
    assert plans == [["in_progress", "pending"], ["completed", "in_progress"], ["completed", "completed"]]


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
async def test_every_skill_does_what_its_example_says(tmp_path: Path, skill: Any):
    write_samples(tmp_path)
    assert next(one for one in SKILLS if one.matches(skill.example)) is skill
    async with open_demo_agent(tmp_path) as agent:
        progress, outcome = await agent.ask(skill.example)
    assert any(item.kind == "tool.started" for item in progress)
    assert len(result_of(outcome)) > 40


async def test_a_summary_comes_from_the_files_themselves(tmp_path: Path):
    write_samples(tmp_path)
    async with open_demo_agent(tmp_path) as agent:
        _, outcome = await agent.ask("Summarise the files")
    told = result_of(outcome)
    assert "4 rows with the columns month, orders, revenue" in told
    assert "sum 178" in told
    assert "ERROR 4" in told
    assert "Welcome to the demo desktop" in told


async def test_a_file_is_written_as_asked(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        await agent.ask("Create a file note.txt with “it's $HOME”")
    assert (tmp_path / "note.txt").read_text() == "it's $HOME\n"


async def test_a_prompt_that_no_skill_fits_gets_an_honest_answer_and_nothing_is_run(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        progress, outcome = await agent.ask("Write me a poem about autumn")
    assert {item.kind for item in progress} == {"text"}
    assert result_of(outcome) == explanation()
    assert "no language model is configured" in explanation()


async def test_feedback_changes_the_next_answer_and_is_quoted(tmp_path: Path):
    write_samples(tmp_path)
    async with open_demo_agent(tmp_path) as agent:
        _, first = await agent.ask("Summarise the files")
        _, second = await agent.ask("Summarise the files", "Shorter, please")
        _, third = await agent.ask("Summarise the files", "Run `echo instead`")
        _, fourth = await agent.ask("Summarise the files", "Make it rhyme")
    assert "> Shorter, please" in result_of(second)
    assert len(result_of(second)) < len(result_of(first))
    assert "instead" in result_of(third)
    assert "find nothing in it that I could follow" in result_of(fourth)


async def test_closing_the_connection_ends_the_command(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        async with agent.stream("Run `echo $$ > pid; exec sleep 1000`"):
            pid = await until(lambda: _number_in(tmp_path / "pid"), "the command to begin")
        await until(lambda: not is_alive(pid), "the command to end")


async def test_ending_the_agent_ends_the_command(tmp_path: Path):
    pid = 0
    async with open_demo_agent(tmp_path) as agent:
        stream = agent.stream("Run `echo $$ > pid; exec sleep 1000`")
        response = await stream.__aenter__()
        pid = await until(lambda: _number_in(tmp_path / "pid"), "the command to begin")
        await response.aclose()
    await until(lambda: not is_alive(pid), "the command to end")


async def test_a_client_that_wants_no_stream_gets_the_answer_in_one_piece(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        body = {"messages": [{"role": "user", "content": "Run `echo hi`"}]}
        answer = (await agent.client.post("/chat/completions", json=body)).json()
    assert "hi" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_readiness_is_told_to_who_has_the_token_and_health_to_everybody(tmp_path: Path):
    async with open_demo_agent(tmp_path) as agent:
        assert (await agent.client.get("/models")).json()["data"][0]["id"] == "demo"
        root = agent.url.removesuffix("/v1")
        async with httpx2.AsyncClient(trust_env=False) as stranger:
            assert (await stranger.get(f"{root}/healthz")).json() == {"ok": True, "status": "live"}
            assert (await stranger.get(f"{agent.url}/models")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": TOKEN[:-1]}, 401),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1"}, 403),
    ],
)
async def test_a_wrong_token_or_host_gets_nothing_run(tmp_path: Path, headers: dict[str, str], status: int):
    async with open_demo_agent(tmp_path) as agent:
        body = {"messages": [{"role": "user", "content": "Run `touch ran`"}], "stream": True}
        answer = await agent.client.post("/chat/completions", json=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"messages": []}', 400), (b'{"messages": "x"}', 400), (b"x" * (BODY_BYTES_MAX + 1), 413)],
)
async def test_a_bad_request_is_told_so(tmp_path: Path, body: bytes, status: int):
    async with open_demo_agent(tmp_path) as agent:
        answer = await agent.client.post("/chat/completions", content=body)
    assert answer.status_code == status


# --- with a model -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_agent_with_model(folder: Path, *scripts: Script) -> AsyncGenerator[tuple[Agent, Any]]:
    async with open_chat_endpoint(*scripts) as endpoint:
        async with open_demo_agent(folder, Model(endpoint.url, "model-key", "small")) as agent:
            yield agent, endpoint


async def test_a_model_uses_the_shell_until_it_has_an_answer(tmp_path: Path):
    wants = sse(chunk("I look."), tool_call(0, "c1", "shell", '{"command": "echo found"}'), chunk(finish="tool_calls"))
    says = sse(chunk(reasoning_content="Good."), chunk("There is *found*."), chunk(finish="stop"))
    async with open_agent_with_model(tmp_path, replies(wants, DONE), replies(says, DONE)) as (agent, endpoint):
        progress, outcome = await agent.ask("What does echo say?")
    assert [item.kind for item in progress] == [
        "text",
        "tool.started",
        "tool.output",
        "tool.finished",
        "reasoning",
        "text",
    ]
    assert result_of(outcome) == "I look.\n\nThere is *found*."
    assert endpoint.requests[0].headers["authorization"] == "Bearer model-key"
    assert endpoint.requests[0].json["tools"][0]["function"]["name"] == "shell"
    *_, assistant, tool = endpoint.requests[1].json["messages"]
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"] == "c1"
    assert tool["content"] == "found\n\n[exit code 0]"


async def test_a_model_that_fails_makes_the_answer_fail_with_its_reason(tmp_path: Path):
    refusal = replies(b'{"error": {"message": "no credit"}}', status=401, content_type="application/json")
    async with open_agent_with_model(tmp_path, refusal) as (agent, _):
        _, outcome = await agent.ask("Hello")
    assert outcome.error is not None
    assert outcome.error.code == "agent_error"
    assert "no credit" in outcome.error.message


async def test_a_model_that_asks_for_nonsense_is_told_and_goes_on(tmp_path: Path):
    calls = [tool_call(0, "a", "browser", "{}"), tool_call(1, "b", "shell", '{"cmd": 1}'), chunk(finish="tool_calls")]
    scripts = replies(sse(*calls), DONE), replies(sse(chunk("Sorry."), chunk(finish="stop")), DONE)
    async with open_agent_with_model(tmp_path, *scripts) as (agent, endpoint):
        _, outcome = await agent.ask("Hello")
    assert result_of(outcome) == "Sorry."
    *_, first, second = endpoint.requests[1].json["messages"]
    assert "no tool browser" in first["content"]
    assert "not valid" in second["content"]


async def test_a_client_that_leaves_ends_the_model_s_work(tmp_path: Path):
    async with open_agent_with_model(tmp_path, replies(sse(chunk("Well")), ending="hold")) as (agent, endpoint):
        async with agent.stream("Hello"):
            await endpoint.wait_for_request()
        await endpoint.wait_until_a_client_left()


def test_a_model_needs_an_address_and_a_name():
    assert Model.from_environment({}) is None
    assert Model.from_environment({"OPENAI_BASE_URL": "http://x/v1"}) is None
    given = {"OPENAI_BASE_URL": "http://x/v1", "OPENAI_MODEL": "m", "OPENAI_API_KEY": "k"}
    assert Model.from_environment(given) == Model("http://x/v1", "k", "m")


# --- understanding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("Run `ls`", ["ls"]),
        ("`a` and `b` and `a`", ["a", "b"]),
        ("```sh\nfor i in 1 2; do\n echo $i\ndone\n```", ["for i in 1 2; do\n echo $i\ndone"]),
        ("no commands", []),
        ("an `unclosed one", []),
    ],
)
def test_commands_are_what_stands_in_backticks(text: str, commands: list[str]):
    assert commands_in(text) == commands


def test_feedback_decides_over_the_prompt_how_long_an_answer_is():
    assert Asked.of([_asked("a short summary", "more detail")]).detail == "detailed"
    assert Asked.of(["a short summary"]).detail == "brief"
    assert Asked.of(["a summary"]).detail == "normal"


def test_the_newest_feedback_counts_and_the_prompt_stays_the_first():
    twice = _asked(_asked("Summarise the files", "shorter"), "more detail")
    assert Asked.of(["Summarise the files", twice]) == Asked("Summarise the files", "more detail", "detailed")
    assert Asked.of(["Summarise the files", FEEDBACK_MARK + "shorter"]).prompt == "Summarise the files"


def _asked(prompt: str, feedback: str | None) -> str:
    """What the agent is asked when a person rejects its answer with feedback and has the task done again."""
    if feedback is None:
        return prompt
    now, actor = "2026-03-01T12:00:00.000000Z", Actor(id="key_1", name="Mia")
    rejected = Task(
        id="task_1", type="prompt", content=prompt, status="failed", desktop_id="desk_1", requires_approval=True,
        created_at=now, created_by=actor, session_id="task_1",
    )  # fmt: skip
    (created,) = retry(rejected, id="task_2", at=now, actor=actor, feedback=feedback)
    assert isinstance(created, TaskCreated)
    return created.content


def _number_in(path: Path) -> int:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else 0
