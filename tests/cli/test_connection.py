"""Which server a command means, and what it says when there is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mission_control.cli.connection import (
    SOCKET_FILE,
    SOCKET_PATH_BYTES_MAX,
    Connection,
    Local,
    Remote,
    choose,
    socket_path,
)
from mission_control.cli.failures import NOT_ALLOWED, UNREACHABLE, USAGE, Failed

ELSEWHERE = {"MISSION_CONTROL_URL": "https://far.example/", "MISSION_CONTROL_API_KEY": "mc_k_x"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose path is too long for a socket's address, with something that listens."""
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(directory, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{descriptor}/{SOCKET_FILE}")
        os.close(descriptor)
        listener.listen()
        yield directory


def test_the_server_of_the_data_directory_is_used_where_one_runs(served: Path):
    assert choose(Connection(data_dir=served), {}) == Local(served)
    assert choose(Connection(), {"MISSION_CONTROL_DATA_DIR": str(served)} | ELSEWHERE) == Local(served)


def test_a_long_path_is_reached_through_its_directory(served: Path):
    assert len(os.fsencode(served / SOCKET_FILE)) > SOCKET_PATH_BYTES_MAX
    with socket_path(served) as path, socket.socket(socket.AF_UNIX) as client:
        assert len(path) < SOCKET_PATH_BYTES_MAX
        client.connect(path)


def test_without_a_server_here_the_environment_names_one(tmp_path: Path):
    environment = {"MISSION_CONTROL_DATA_DIR": str(tmp_path)} | ELSEWHERE
    assert choose(Connection(), environment) == Remote("https://far.example", "mc_k_x")


def test_a_directory_given_as_a_flag_is_never_replaced_by_another_server(tmp_path: Path):
    with pytest.raises(Failed, match="No server runs in"):
        choose(Connection(data_dir=tmp_path), ELSEWHERE)


def test_an_address_given_as_a_flag_is_used_beside_a_server_that_runs_here(served: Path):
    given = Connection(url="http://10.0.0.7:8765", data_dir=served)
    assert choose(given, {"MISSION_CONTROL_API_KEY": "mc_k_x"}) == Remote("http://10.0.0.7:8765", "mc_k_x")


def test_a_key_may_be_in_a_file(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("mc_k_file\n")
    given = Connection(url="https://far.example", api_key_file=file)
    assert choose(given, ELSEWHERE) == Remote("https://far.example", "mc_k_file")


def test_no_server_at_all_says_what_to_do(tmp_path: Path):
    with pytest.raises(Failed, match=r"Start one with `mission-control serve`.*MISSION_CONTROL_URL") as failed:
        choose(Connection(), {"MISSION_CONTROL_DATA_DIR": str(tmp_path)})
    assert failed.value.exit_code == UNREACHABLE


def test_a_socket_that_a_killed_server_left_behind_is_no_server(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET_FILE))
    with pytest.raises(Failed, match="No server runs in"):
        choose(Connection(data_dir=tmp_path), {})


def test_an_address_without_a_key_says_where_keys_come_from():
    with pytest.raises(Failed, match="MISSION_CONTROL_API_KEY") as failed:
        choose(Connection(url="https://far.example"), {})
    assert failed.value.exit_code == NOT_ALLOWED


@pytest.mark.parametrize("url", ["far.example", "ftp://far.example", "https://", "http://[::1", "http://far:99999"])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(Failed, match="is not the address of a server") as failed:
        choose(Connection(url=url), ELSEWHERE)
    assert failed.value.exit_code == USAGE
