"""Where SSH goes, as people type it, and keys that need a passphrase."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mission_control.cli.desktops import Target, is_encrypted, parse_target


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
