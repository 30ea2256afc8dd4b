"""Where SSH goes, as people type it, and keys that need a passphrase."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mission_control.cli.desktops import Known, Target, is_encrypted, known_in, parse_target
from mission_control.cli.failures import Failed
from mission_control.runs.connection import fingerprint, public_line
from tests.support.sshd import key

LINES = [public_line(key("ssh-ed25519", name)) for name in ("one", "two")]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("build-1", Target("build-1", None, None)),
        ("me@host", Target("host", None, "me")),
        ("me@host:2222", Target("host", 2222, "me")),
        ("host:2222", Target("host", 2222, None)),
        ("me@corp@host", Target("host", None, "me@corp")),
        ("me@[::1]:22", Target("::1", 22, "me")),
        ("me@[fe80::1]", Target("fe80::1", None, "me")),
        ("fe80::1", Target("fe80::1", None, None)),
    ],
)
def test_a_target_is_user_host_and_port_or_an_alias(text: str, target: Target):
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "@host", "me@", "host:0", "host:70000", "host:x", "me@[::1", "[::1]x", "-oX", "a b"]
)
def test_anything_else_is_refused_with_a_sentence(text: str):
    with pytest.raises(ValueError, match=r"is not|is neither|has no user|has a port"):
        parse_target(text)


@pytest.mark.parametrize("form", ["RFC4716", "PKCS8", "PEM"])
def test_a_key_with_a_passphrase_is_told_from_one_without(form: str, tmp_path: Path):
    for name, passphrase in (("open", ""), ("sealed", "secret")):
        command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", form, "-N", passphrase, "-f", tmp_path / name]
        subprocess.run(command, check=True)
    assert not is_encrypted((tmp_path / "open").read_text())
    assert is_encrypted((tmp_path / "sealed").read_text())


def test_what_is_no_key_needs_no_passphrase():
    assert not is_encrypted("")
    assert not is_encrypted("-----BEGIN OPENSSH PRIVATE KEY-----\n%%%%\n-----END OPENSSH PRIVATE KEY-----")


def known_hosts(folder: Path, *lines: str, hashed: bool = False) -> str:
    """A known_hosts file, its names hashed by ssh-keygen if wanted."""
    file = folder / "known_hosts"
    file.write_text("\n".join(lines) + "\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
        assert "build-1" not in file.read_text()
    return file.read_text()


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
@pytest.mark.parametrize("port", [None, 2222])
def test_a_known_hosts_file_says_which_keys_a_host_has(hashed: bool, port: int | None, tmp_path: Path):
    other = f"build-1 {LINES[1]}" if port else f"[build-1]:2222 {LINES[1]}"
    name = f"[build-1]:{port}" if port else "build-1"
    text = known_hosts(tmp_path, "# a comment", f"{name} {LINES[0]}", other, hashed=hashed)
    known = known_in(text, Target("build-1", port, None), "FILE")
    assert known == Known([fingerprint(LINES[0])], None, [])


def test_authorities_and_revoked_keys_are_taken_over():
    text = f"@cert-authority *.example {LINES[0]}\n@revoked * {LINES[1]}\n"
    assert known_in(text, Target("a.example", None, None), "FILE") == Known([], LINES[0], [LINES[1]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not name"),
        (f"build-2 {public_line(key('ssh-ed25519'))}", "does not name"),
        ("@nonsense build-1 ssh-ed25519 AAAA", "cannot be read"),
        (f"build-1 {public_line(key('ssh-ed25519'))}\n@revoked * {public_line(key('ssh-ed25519'))}", "revoked"),
    ],
    ids=["empty", "another host", "no such marker", "a revoked key"],
)
def test_a_file_that_says_nothing_good_about_a_host_is_refused(text: str, words: str):
    with pytest.raises(Failed, match=words):
        known_in(text, Target("build-1", None, None), "FILE")
