"""The command line itself: help, wrong arguments, exit codes, and how little is loaded for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mission_control import __version__
from mission_control.cli.main import app, main


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MISSION_CONTROL_URL", "MISSION_CONTROL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MISSION_CONTROL_DATA_DIR", str(tmp_path))


def test_the_version_is_printed_alone(capsys: pytest.CaptureFixture[str]):
    assert exit_code("--version") == 0
    assert capsys.readouterr().out.strip() == __version__


COMMANDS = [
    ["serve"],
    ["open"],
    *(["log", name] for name in ("verify", "restored", "head", "rotate-key")),
    *(["tasks", name] for name in ("create", "list", "show", "run", "watch", "cancel", "review", "retry", "output")),
    *(["desktops", name] for name in ("list", "add", "check", "remove")),
    *(["approvals", name] for name in ("list", "approve", "reject")),
    *(["keys", name] for name in ("create", "list", "revoke")),
    *(["secrets", name] for name in ("set", "list", "remove")),
    *(["known-hosts", name] for name in ("add", "list", "remove", "import")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert exit_code(*command, "--help") == 0
    out = capsys.readouterr().out
    assert f"Usage: mission-control {' '.join(command)}" in out


def test_the_first_page_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]):
    assert exit_code("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("serve", "tasks", "desktops", "approvals", "keys", "log", "open"))
    assert "3 no server" in out and "4 not allowed" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["tasks", "bogus"],
        ["tasks", "list", "--bogus"],
        ["tasks", "list", "--status", "sleeping"],
        ["tasks", "create", "command", "true"],
        ["tasks", "create", "dance", "true", "-d", "x"],
        ["tasks", "create", "command", "true", "-d", "x", "--env", "novalue"],
        ["tasks", "create", "command", "true", "-d", "x", "--timeout", "soon"],
        ["tasks", "review", "task_1", "maybe"],
        ["keys", "create", "x", "--role", "emperor"],
        ["keys", "create", "x", "--expires", "never"],
        ["desktops", "add", "me@"],
        ["desktops", "add", "me@host", "--password", "--ssh-agent"],
        ["desktops", "add", "me@host", "--agent-model", "m"],
        ["desktops", "add", "me@host", "--identity", "/nonexistent/key"],
        ["serve", "--port", "99999"],
        ["serve", "--host", "10.0.0.7"],
        ["serve", "--tls-cert", "only-one.pem"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_with_2_and_says_why(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert exit_code(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mission-control: ")


def test_listening_on_the_network_without_encryption_needs_a_word_and_says_which(capsys: pytest.CaptureFixture[str]):
    exit_code("serve", "--host", "10.0.0.7")
    err = capsys.readouterr().err
    assert "unencrypted" in err and "--allow-network" in err


def test_without_a_server_a_command_exits_with_3(capsys: pytest.CaptureFixture[str]):
    assert exit_code("tasks", "list") == 3
    assert "Start one with `mission-control serve`" in capsys.readouterr().err


def test_a_public_key_is_told_from_a_private_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "id.pub"
    file.write_text("ssh-ed25519 AAAA me@here\n")
    assert exit_code("desktops", "add", "me@host", "--identity", str(file)) == 2
    assert "is a public key" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["tasks", "--help"], ["tasks", "create", "--help"]], ids=" ".join)
def test_help_loads_neither_server_nor_http(arguments: list[str]):
    program = (
        "import sys\nfrom mission_control.cli.main import main\n"
        f"try:\n main({arguments!r})\nexcept SystemExit: pass\n"
        "slow = {'httpx2', 'starlette', 'uvicorn', 'asyncssh', 'cryptography', 'aiosqlite', 'anyio'}\n"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


def test_completion_can_be_written_for_every_shell():
    for shell in ("bash", "zsh", "fish"):
        assert "tasks" in app.generate_completion(shell=shell)
