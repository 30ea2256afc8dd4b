"""Tasks with secrets on real desktops: the command has them, and nobody reads them in what is recorded."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

from mission_control.control.door import open_control
from mission_control.domain.desktops import NewOutpost
from mission_control.domain.secrets import NewSecret, SecretEdit
from mission_control.log.verify import verify, verify_directory
from tests.support.chat_endpoint import DONE, Exchange, chunk, open_chat_endpoint, sse
from tests.support.world import MIA, World, open_sshd, open_world, with_agent

VALUE = "correct-horse/battery+staple"
STARS = "*" * len(VALUE)


async def with_secret(world: World, value: str = VALUE, name: str = "NPM_TOKEN") -> None:
    await world.control.secrets.create(NewSecret(name=name, value=value), MIA)


async def assert_nowhere(world: World, value: str = VALUE) -> None:
    """In no event, no table, and no file of the data directory."""
    async with world.control.log.snapshot() as snapshot:
        tables = await snapshot.rows("select name from sqlite_master where type = 'table'")
        for (table,) in tables:
            for row in await snapshot.rows(f"select * from {table}"):
                assert value not in repr(row), table
    report = await verify(world.control.log)
    assert report.is_sound, report.problems


async def test_a_command_gets_its_secrets_as_variables_and_what_it_prints_of_them_is_masked(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        await with_secret(world)
        content = """echo "token=$NPM_TOKEN"; echo "again $NPM_TOKEN" >&2
printf '%s' "$NPM_TOKEN" | sha256sum
printf 'user:%s' "$NPM_TOKEN" | base64
printf 'correct-'; sleep 0.3; printf 'horse/battery+staple and more'; exit 3"""
        task = await world.ended(await world.run(desktop, content, secrets=("NPM_TOKEN",)))
        said = (await world.output(task, "stdout")).decode().splitlines()
        assert said[0] == f"token={STARS}"
        assert said[1].startswith(sha256(VALUE.encode()).hexdigest()), "it had the value itself"
        assert said[2].startswith(base64.b64encode(b"user:").decode()[:6]) and "*" * 36 in said[2]
        assert said[3] == f"{STARS} and more"
        assert await world.output(task, "stderr") == f"again {STARS}\n".encode()
        assert (task.exit_code, task.masked_count) == (3, 4)
        (first, *_) = await world.events(task, "task.output")
        assert first["masked"][0] == [6, len(VALUE)]
        await assert_nowhere(world)


async def test_a_secret_is_not_on_the_desktops_disk_nor_in_the_arguments_of_a_process(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        await with_secret(world)
        gate = tmp_path / "gate"
        content = f"until [ -e {gate} ]; do sleep 0.02; done; echo ${{#NPM_TOKEN}}"
        task = await world.run(desktop, content, secrets=("NPM_TOKEN",))
        await world.in_phase(task, "streaming")
        outpost = world.desktop(desktop).outpost
        assert outpost is not None
        files = [path for path in Path(outpost.directory).rglob("*") if path.is_file()]
        assert files and not any(VALUE.encode() in path.read_bytes() for path in files)
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any(VALUE.encode() in line for line in lines)
        gate.touch()
        task = await world.ended(task)
        assert await world.output(task, "stdout") == f"{len(VALUE)}\n".encode()


async def test_a_secret_that_was_removed_meanwhile_fails_the_task_and_says_so(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        await with_secret(world)
        task = await world.run(desktop, "touch /never", secrets=("NPM_TOKEN",), run=False)
        await world.control.secrets.remove("NPM_TOKEN", MIA)
        task = await world.ended(await world.control.tasks.run(task.id, MIA))
        assert task.error and (task.status, task.error.code) == ("failed", "secret_missing")
        assert "NPM_TOKEN" in task.error.message and task.executed_at is None


async def test_without_an_outpost_a_task_with_secrets_is_refused_before_anything_is_sent(tmp_path: Path):
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, outpost=NewOutpost(python="no-python-here"))
        assert not desktop.durable
        await with_secret(world)
        task = await world.ended(await world.run(desktop, "echo $NPM_TOKEN", secrets=("NPM_TOKEN",)))
        assert task.error and task.error.code == "secrets_need_outpost"


async def test_a_run_keeps_the_value_it_was_given_over_a_change_and_a_restart_and_both_are_masked(tmp_path: Path):
    new = "quite-another-value"
    async with open_sshd() as host:
        gate = tmp_path / "gate"
        async with open_world(tmp_path) as world:
            desktop = await world.add_desktop(host)
            await with_secret(world)
            content = f"echo ready; until [ -e {gate} ]; do sleep 0.02; done; echo $NPM_TOKEN {new}"
            task = await world.run(desktop, content, secrets=("NPM_TOKEN",))
            await world.recorded(task, b"ready\n")
            await world.control.secrets.replace("NPM_TOKEN", SecretEdit(value=new), MIA)
        async with open_world(tmp_path) as world:
            gate.touch()
            task = await world.ended(task)
            assert await world.output(task, "stdout") == f"ready\n{STARS} {'*' * len(new)}\n".encode()
            async with world.control.log.snapshot() as snapshot:
                owners = await snapshot.rows("select owner from secrets where owner not like 'desk%'")
            assert owners == [("named",)], "what the run was given is deleted with its end"
    report = await verify_directory(tmp_path)
    assert report.is_sound, report.problems


async def test_an_agents_token_and_other_secrets_are_masked_in_its_answer_and_what_is_derived_from_it(tmp_path: Path):
    token, password = "sk-agent-token-1234", "pass phrase"

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        pieces = (f"The token is {token}. ", "And ", "pass", " phr", "ase!")
        await exchange.send(sse(*map(chunk, pieces), chunk(finish="stop")) + DONE)
        await exchange.end()

    async with open_sshd() as host, open_chat_endpoint(reply) as endpoint, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host, **with_agent(endpoint.url, token))
        await world.until(lambda: world.desktop(desktop).agent_ready)
        await with_secret(world, password, "PHRASE")
        task = await world.ended(await world.run(desktop, "What is the token?", type="prompt"))
        expected = f"The token is {'*' * len(token)}. And {'*' * len(password)}!"
        assert (task.status, task.result) == ("done", expected)
        said = "".join(event["text"] for event in await world.events(task, "task.progress") if event["kind"] == "text")
        assert said == expected
        assert task.masked_count == 2
        await assert_nowhere(world, token)
        await assert_nowhere(world, password)


async def test_a_secret_that_does_not_open_any_more_counts_as_missing_and_the_server_starts(tmp_path: Path):
    async with open_control(tmp_path) as control:
        await control.secrets.create(NewSecret(name="NPM_TOKEN", value=VALUE), MIA)
    (tmp_path / "seal.key").write_bytes(bytes(32))
    async with open_sshd() as host, open_world(tmp_path) as world:
        desktop = await world.add_desktop(host)
        task = await world.ended(await world.run(desktop, "true", secrets=("NPM_TOKEN",)))
        assert task.error and task.error.code == "secret_missing"
