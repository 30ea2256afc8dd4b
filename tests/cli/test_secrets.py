"""Secrets on the command line: set from standard input or a hidden question, named by tasks, never shown."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import Program, open_terminal
from tests.support.server_process import open_server

VALUE = "correct-horse-battery"


async def test_a_secret_is_set_listed_used_and_removed_and_its_value_is_in_no_output(tmp_path: Path):
    async with open_server(tmp_path / "data") as server:
        program, desktop = Program(server.data_dir), (await server.desktop())["id"]
        made = await program.run("secrets", "set", "NPM_TOKEN", stdin=f"{VALUE}\n".encode())
        assert (made.code, made.text) == (0, "NPM_TOKEN")
        again = await program.run("secrets", "set", "NPM_TOKEN", stdin=f"{VALUE}2\n".encode())
        assert again.code == 0, again.said
        assert [secret["name"] for secret in (await program.run("secrets", "list", "--json")).json] == ["NPM_TOKEN"]
        assert "NPM_TOKEN" in (await program.run("secrets", "list")).text
        ran = await program.run(
            *("tasks", "create", "command", "echo $NPM_TOKEN ${#NPM_TOKEN}", "-d", desktop, "--secret", "NPM_TOKEN"),
            "--watch",
        )
        assert ran.out == f"{'*' * len(VALUE)}* {len(VALUE) + 1}\n".encode()
        short = await program.run("secrets", "set", "SHORT", stdin=b"12345")
        assert short.code == 1 and "validation_failed" in short.said and "12345" not in short.said
        assert (await program.run("secrets", "remove", "NPM_TOKEN")).code == 0
        assert (await program.run("secrets", "list", "--json")).json == []
        missing = await program.run("tasks", "create", "command", "true", "-d", desktop, "--secret", "NPM_TOKEN")
        assert missing.code == 1 and "NPM_TOKEN" in missing.said


async def test_a_key_of_several_lines_keeps_its_last_line_end(tmp_path: Path):
    key = "first line of it\nsecond line of it\n"
    async with open_server(tmp_path / "data") as server:
        program, desktop = Program(server.data_dir), (await server.desktop())["id"]
        await program.run("secrets", "set", "KEY", stdin=key.encode())
        ran = await program.run(
            *("tasks", "create", "command", "echo ${#KEY}", "-d", desktop, "--secret", "KEY", "--watch")
        )
        assert ran.text == str(len(key))


async def test_on_a_terminal_the_value_is_asked_for_and_not_shown(tmp_path: Path):
    async with open_server(tmp_path / "data") as server:
        program = Program(server.data_dir)
        async with open_terminal(program, "secrets", "set", "NPM_TOKEN") as terminal:
            await terminal.shows("Value of NPM_TOKEN: ")
            terminal.type(f"{VALUE}\n")
            assert await terminal.ended() == 0
            assert VALUE.encode() not in terminal.read()
        assert [secret["name"] for secret in (await program.run("secrets", "list", "--json")).json] == ["NPM_TOKEN"]
