"""The key that seals secrets is changed: also where that is cut short at any moment, every secret opens."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from mission_control.control.door import open_control, rotate_key
from mission_control.domain.errors import Refused
from mission_control.domain.secrets import NewSecret, SecretEdit
from mission_control.domain.values import Actor
from mission_control.log.directory import DirectoryUnusable, locked_directory
from mission_control.log.seal_keys import FROM_FILE, KEY_FILE, NEXT_KEY_FILE, Given, take_given
from mission_control.log.vault import NAMED, SecretUnreadable, Vault
from mission_control.log.verify import verify_directory
from tests.support.server_process import command_line

MIA = Actor(id="key_mia", name="Mia")
NAMES = [f"SECRET_{number}" for number in range(5)]
SYNCS_AND_RENAMES = "fsync,fdatasync,rename,renameat,renameat2,unlink"


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    async with open_control(tmp_path) as control:
        for name in NAMES:
            await control.secrets.create(NewSecret(name=name, value=f"value of {name}"), MIA)
    return tmp_path


async def opened(directory: Path, given: Given = FROM_FILE) -> dict[str, str | None]:
    """The secrets as a server finds them, which has seen to it that one key opens all of them."""
    async with open_control(directory, seal_keys=given) as control, control.log.snapshot() as snapshot:
        rows = await snapshot.rows("select name, sealed from secrets")
    vault = Vault(directory, Given(key=given.key))
    return {name: vault.open(NAMED, name, sealed) for name, sealed in rows}


EXPECTED = {name: f"value of {name}" for name in NAMES}


async def test_after_a_rotation_everything_opens_with_another_key_and_the_old_one_opens_nothing(directory: Path):
    old = (directory / KEY_FILE).read_bytes()
    assert await rotate_key(directory) == len(NAMES)
    new = (directory / KEY_FILE).read_bytes()
    assert new != old and (directory / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert await opened(directory) == EXPECTED
    assert (await verify_directory(directory)).is_sound
    (directory / KEY_FILE).write_bytes(old)
    with pytest.raises(SecretUnreadable):
        await opened(directory)


async def test_where_a_server_runs_the_key_is_not_changed(directory: Path):
    old = (directory / KEY_FILE).read_bytes()
    with locked_directory(directory), pytest.raises(DirectoryUnusable, match="in use"):
        await rotate_key(directory)
    assert (directory / KEY_FILE).read_bytes() == old


@pytest.mark.parametrize("ends_by", ["a server's start", "another rotation"])
async def test_a_rotation_that_is_killed_at_any_step_loses_no_secret(directory: Path, tmp_path: Path, ends_by: str):
    strace = shutil.which("strace")
    assert strace, "this test kills at system calls with strace: apt-get install strace"
    kept, old = tmp_path.with_name("kept"), (directory / KEY_FILE).read_bytes()
    shutil.copytree(directory, kept)
    for step in range(1, 100):
        shutil.rmtree(directory)
        shutil.copytree(kept, directory)
        inject = f"inject={SYNCS_AND_RENAMES}:signal=KILL:when={step}"
        line = [strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", inject]
        line += command_line("log", "rotate-key")
        environment = os.environ | {"MISSION_CONTROL_DATA_DIR": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(line, env=environment, capture_output=True, check=False)
        if ends_by == "another rotation":
            await rotate_key(directory)
        assert await opened(directory) == EXPECTED, f"killed at step {step}"
        assert not (directory / NEXT_KEY_FILE).exists()
        if ran.returncode == 0:
            break
    assert step > 4, "it was killed on its way"
    assert (directory / KEY_FILE).read_bytes() != old
    shutil.rmtree(kept)


FIRST, SECOND = (Given(key=bytes([number]) * 32) for number in (1, 2))


async def changes(directory: Path, given: Given) -> int:
    """How many changes of the key are in the log."""
    async with open_control(directory, seal_keys=given) as control, control.log.snapshot() as snapshot:
        return len(await snapshot.rows("select seq from events where type = 'sealKey.changed'"))


async def test_a_key_from_the_environment_takes_the_place_of_the_file_and_another_one_that_of_it(directory: Path):
    assert await opened(directory, FIRST) == EXPECTED
    assert not (directory / KEY_FILE).exists(), "it opens nothing any more"
    assert await opened(directory, Given(key=SECOND.key, old=FIRST.key)) == EXPECTED
    assert await opened(directory, SECOND) == EXPECTED
    with pytest.raises(BaseExceptionGroup) as caught:
        await opened(directory, FIRST)
    assert caught.group_contains(DirectoryUnusable, match=f"opens none of the {len(NAMES)} secrets")
    with pytest.raises(BaseExceptionGroup) as caught:
        await opened(directory)
    assert caught.group_contains(DirectoryUnusable, match="give it as MISSION_CONTROL_SEAL_KEY, or as")
    assert not (directory / KEY_FILE).exists(), "a forgotten key is not replaced by a new one"
    assert await opened(directory, Given(old=SECOND.key)) == EXPECTED
    assert await opened(directory) == EXPECTED
    assert (directory / KEY_FILE).exists(), "back to a file"
    assert await changes(directory, FROM_FILE) == 3
    assert (await verify_directory(directory)).is_sound


async def test_starts_with_the_old_key_still_there_change_nothing_more(directory: Path):
    given = Given(key=FIRST.key, old=SECOND.key)
    assert [await changes(directory, given) for _ in range(3)] == [1, 1, 1]


async def test_a_given_key_is_not_changed_by_the_command(directory: Path):
    async with open_control(directory, seal_keys=FIRST) as control:
        with pytest.raises(Refused, match="MISSION_CONTROL_SEAL_KEY_OLD") as refused:
            await control.secrets.rotate_key(MIA)
    assert refused.value.code == "seal_key_given"
    assert await opened(directory, FIRST) == EXPECTED


async def test_while_a_server_runs_the_key_is_changed_between_changes_of_secrets(directory: Path):
    old = (directory / KEY_FILE).read_bytes()
    async with open_control(directory) as control, anyio.create_task_group() as group:
        for name in NAMES[:2]:
            group.start_soon(control.secrets.replace, name, SecretEdit(value=f"new value of {name}"), MIA)
        group.start_soon(control.secrets.rotate_key, MIA)
        group.start_soon(control.secrets.remove, NAMES[2], MIA)
        group.start_soon(control.secrets.rotate_key, MIA)
    expected = EXPECTED | {name: f"new value of {name}" for name in NAMES[:2]}
    del expected[NAMES[2]]
    assert await opened(directory) == expected
    assert await changes(directory, FROM_FILE) == 2
    (directory / KEY_FILE).write_bytes(old)
    with pytest.raises(SecretUnreadable):
        await opened(directory)


async def test_what_waits_for_the_disk_when_the_key_is_changed_is_sealed_anew_too(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_control(directory) as control, anyio.create_task_group() as group:
        writer, has_begun, begin = control.log._writer, anyio.Event(), control.secrets._vault.begin_change
        write = writer._begin

        def begin_change() -> None:
            begin()
            anyio.from_thread.run_sync(has_begun.set)

        monkeypatch.setattr(writer, "_begin", lambda: None)  # nothing reaches the disk
        monkeypatch.setattr(control.secrets._vault, "begin_change", begin_change)
        group.start_soon(control.secrets.replace, NAMES[0], SecretEdit(value="new value"), MIA)  # by the old key
        await anyio.wait_all_tasks_blocked()
        group.start_soon(control.secrets.rotate_key, MIA)
        await has_begun.wait()
        await anyio.wait_all_tasks_blocked()
        monkeypatch.setattr(writer, "_begin", write)
        writer._wake.set()
    assert await opened(directory) == EXPECTED | {NAMES[0]: "new value"}


async def test_a_secret_that_is_replaced_while_all_are_sealed_anew_keeps_its_new_value(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_control(directory) as control:
        stored = control.secrets._stored

        async def read_and_replaced() -> list[tuple[str, str, bytes]]:
            rows = await stored()
            await control.secrets.replace(NAMES[0], SecretEdit(value="new value"), MIA)
            return rows

        monkeypatch.setattr(control.secrets, "_stored", read_and_replaced)
        await control.secrets.rotate_key(MIA)
    assert await opened(directory) == EXPECTED | {NAMES[0]: "new value"}


@pytest.mark.parametrize("text", ["", "short", b64encode(bytes(31)).decode(), b64encode(bytes(33)).decode(), "ä" * 43])
def test_a_malformed_key_is_refused_without_showing_it_and_taken_all_the_same(text: str):
    environment = {"MISSION_CONTROL_SEAL_KEY": text, "PATH": "/bin"}
    with pytest.raises(DirectoryUnusable, match="openssl rand -base64 32") as caught:
        take_given(environment)
    assert not text or text not in str(caught.value)
    assert environment == {"PATH": "/bin"}


def test_keys_of_the_environment_show_nowhere():
    environment = {"MISSION_CONTROL_SEAL_KEY_OLD": b64encode(b"k" * 32).decode() + "\n"}
    given = take_given(environment)
    assert given == Given(old=b"k" * 32)
    assert "k" * 8 not in repr(given) and not environment
