"""The key that seals secrets is changed: also where that is cut short at any moment, every secret opens."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mission_control.control.door import open_control
from mission_control.domain.secrets import NewSecret
from mission_control.domain.values import Actor
from mission_control.log.directory import DirectoryUnusable, locked_directory
from mission_control.log.vault import KEY_FILE, NAMED, NEXT_KEY_FILE, SecretUnreadable, Vault, rotate_key
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


async def opened(directory: Path) -> dict[str, str | None]:
    """The secrets as a server finds them."""
    async with open_control(directory) as control, control.log.snapshot() as snapshot:
        rows = await snapshot.rows("select name, sealed from secrets")
    vault = Vault(directory)
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
