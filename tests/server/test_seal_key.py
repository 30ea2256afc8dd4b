"""The seal key in the environment of a real server: it opens, it is changed, and nobody else sees it."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.server_process import ServerProcess, command_line, open_server

ONE, TWO = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
VALUE = "correct-horse/battery+staple"
SECRETS = "/api/mission-control/secrets"


def environments(pid: int) -> list[bytes]:
    """What /proc shows, as `ps e` does, of the variables of a process and of all below it."""
    shown: list[bytes] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if pid in (parent, int(folder.name)):
                shown.append((folder / "environ").read_bytes() + (folder / "cmdline").read_bytes())
        except (OSError, ValueError):
            continue
    return shown


async def uses_its_secret(server: ServerProcess) -> None:
    task = await server.run('echo "[$NPM_TOKEN]"; env', secrets=["NPM_TOKEN"])
    assert (await server.ended(task["id"]))["status"] == "done"
    output = await server.output(task["id"])
    assert f"[{'*' * len(VALUE)}]" in output
    assert "SEAL_KEY" not in output and ONE not in output and TWO not in output


async def test_a_key_from_the_environment_seals_is_changed_and_shows_nowhere(tmp_path: Path):
    data = tmp_path / "data"
    async with open_server(data, environment={"MISSION_CONTROL_SEAL_KEY": ONE}) as server:
        key = server.http.headers["x-api-key"]
        made = await server.http.post(SECRETS, json={"name": "NPM_TOKEN", "value": VALUE})
        assert made.status_code == 201, made.text
        await uses_its_secret(server)
        shown = environments(server.process.pid)
        assert len(shown) > 1, "the server, and what it started"
        assert not [one for one in shown if ONE.encode() in one]
        refused = await server.http.post("/api/mission-control/seal-key/rotate")
        assert (refused.status_code, refused.json()["code"]) == (409, "seal_key_given")
    both = {"MISSION_CONTROL_SEAL_KEY": TWO, "MISSION_CONTROL_SEAL_KEY_OLD": ONE}
    async with open_server(data, key=key, environment=both) as server:
        await uses_its_secret(server)
        assert not [one for one in environments(server.process.pid) if ONE.encode() in one or TWO.encode() in one]
    async with open_server(data, key=key, environment={"MISSION_CONTROL_SEAL_KEY": TWO}) as server:
        await uses_its_secret(server)
        log = (await server.http.get("/api/mission-control/activity?limit=1000")).text
        assert log.count('"sealKey.changed"') == 1
    assert not (data / "seal.key").exists()
    files = [path.read_bytes() for path in [*data.iterdir(), tmp_path / "data.stderr"] if path.is_file()]
    assert not [one for one in files if ONE.encode() in one or b"\1" * 32 in one or VALUE.encode() in one]


@pytest.mark.parametrize(
    ("given", "words"),
    [(TWO, "MISSION_CONTROL_SEAL_KEY opens none of the"), ("nonsense", "MISSION_CONTROL_SEAL_KEY is not a key")],
)
async def test_a_server_with_another_key_does_not_start_and_says_what_to_do(tmp_path: Path, given: str, words: str):
    async with open_server(tmp_path / "data", environment={"MISSION_CONTROL_SEAL_KEY": ONE}) as server:
        await server.http.post(SECRETS, json={"name": "NPM_TOKEN", "value": VALUE})
    ran = subprocess.run(
        command_line("serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
        env=os.environ | {"MISSION_CONTROL_SEAL_KEY": given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1 and words in ran.stderr
    assert "Traceback" not in ran.stderr and given not in ran.stderr
    ran = subprocess.run(
        command_line("log", "rotate-key", "--data-dir", str(tmp_path / "data")),
        env=os.environ | {"MISSION_CONTROL_SEAL_KEY": ONE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1 and "MISSION_CONTROL_SEAL_KEY_OLD" in ran.stderr


async def test_the_command_changes_the_key_of_a_running_server(tmp_path: Path):
    data = tmp_path / "data"
    async with open_server(data) as server:
        await server.http.post(SECRETS, json={"name": "NPM_TOKEN", "value": VALUE})
        old = (data / "seal.key").read_bytes()
        ran = subprocess.run(
            command_line("log", "rotate-key", "--data-dir", str(data)), capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "sealed with a new key" in ran.stdout
        assert (data / "seal.key").read_bytes() != old
        await uses_its_secret(server)
        found = (await server.http.get("/api/mission-control/activity?types=sealKey.*")).json()
        assert [event["actor"]["via"] for event in found] == ["local"]
