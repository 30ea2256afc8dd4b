"""Which hosts a pattern of known_hosts means."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mission_control.domain.desktops import matches

CASES = [
    ("*.example.com", "a.example.com", 22, True),
    ("*.example.com", "A.Example.COM", 22, True),
    ("*.EXAMPLE.com", "a.example.com", 22, True),
    ("*.example.com", "example.com", 22, False),
    ("*.example.com", "a.example.com.evil", 22, False),
    ("build-?", "build-7", 22, True),
    ("build-?", "build-77", 22, False),
    ("10.0.*,!10.0.0.7", "10.0.0.8", 22, True),
    ("10.0.*,!10.0.0.7", "10.0.0.7", 22, False),
    ("!10.0.0.7,10.0.*", "10.0.0.7", 22, False),
    ("!10.0.0.7", "10.0.0.8", 22, False),
    ("[a.example]:2222", "a.example", 2222, True),
    ("[a.example]:2222", "a.example", 22, False),
    ("a.example", "a.example", 2222, True),
    ("::1", "::1", 22, True),
]


@pytest.mark.parametrize(("patterns", "host", "port", "expected"), CASES)
def test_a_pattern_means_a_host_as_in_known_hosts(patterns: str, host: str, port: int, expected: bool):
    assert matches(patterns.split(","), host, port) is expected


@pytest.mark.parametrize(("patterns", "host", "port", "expected"), [case for case in CASES if case[2] == 22])
def test_ssh_keygen_agrees(patterns: str, host: str, port: int, expected: bool, tmp_path: Path):
    file = tmp_path / "known_hosts"
    file.write_text(
        f"{patterns.lower()} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q\n"
    )
    found = subprocess.run(["ssh-keygen", "-F", host.lower(), "-f", file], capture_output=True, check=False)
    assert (found.returncode == 0) is expected


def test_many_wildcards_take_no_time():
    assert not matches(["*a" * 120], "a" * 119 + "b" * 130, 22)
