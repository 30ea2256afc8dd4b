"""What the README tells people to type works, as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server_process import open_server
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell(command: str, **variables: str) -> str:
    """What a command prints; it must succeed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | variables
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


async def test_the_curl_examples_create_run_follow_and_review_a_task(tmp_path: Path):
    (examples,) = blocks("bash")
    listing, creating, running, following, reviewing = (one.strip() for one in examples.strip().split("\n\n"))
    async with open_server(tmp_path / "data") as server:
        await server.desktop()

        def typed(command: str, **ids: str) -> str:
            command = command.replace("http://127.0.0.1:8765", server.url).replace("npm test", "echo tested")
            return shell(command, KEY=server.http.headers["x-api-key"], **ids)

        desktop = json.loads(typed(listing))[0]["id"]
        task = json.loads(typed(creating, DESKTOP=desktop))
        assert task["status"] == "pending"
        assert json.loads(typed(running, TASK=task["id"]))["status"] == "running"
        assert (await server.ended(task["id"]))["status"] == "review"
        followed = typed(following.replace("curl -sN", "curl -sN --max-time 1") + " || [ $? = 28 ]", TASK=task["id"])
        types = [json.loads(line[5:])["type"] for line in followed.splitlines() if line.startswith("data:")]
        assert types[0] == "task.created"
        assert {"task.started", "task.output", "task.review"} <= set(types)
        assert json.loads(typed(reviewing, TASK=task["id"]))["status"] == "failed"


async def test_the_websocket_example_follows_a_task_to_its_end(tmp_path: Path):
    (example,) = blocks("python")
    async with open_server(tmp_path / "data") as server:
        task = await server.run("echo over the socket")
        program = tmp_path / "follow.py"
        program.write_text(example.replace("ws://127.0.0.1:8765", server.url.replace("http", "ws")))
        said = shell(f"{sys.executable} {program}", KEY=server.http.headers["x-api-key"], TASK=task["id"])
        types = [line.split()[1] for line in said.splitlines() if line.split()]
        assert (types[0], types[-1]) == ("task.created", "task.completed")
        assert "over the socket" in said


async def test_the_command_line_examples_work_on_the_servers_machine(tmp_path: Path):
    commands = [
        line.removeprefix("$ ")
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ mission-control") and "build-7" not in line
    ]
    assert len(commands) >= 3
    program = f"{sys.executable} -m mission_control"
    async with open_server(tmp_path / "data") as server:
        await server.desktop()
        for command in commands:
            typed = re.sub(r"^mission-control", program, command)
            said = shell(typed, MISSION_CONTROL_DATA_DIR=str(server.data_dir))
            assert said.strip(), command

        async def ran() -> bool:
            tasks = (await server.http.get("/api/mission-control/tasks")).json()
            return [task["status"] for task in tasks] == ["done"]

        await until(ran, "the task of the example")


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_every_link_to_a_file_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} → {target}"
