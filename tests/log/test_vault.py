"""Secrets at rest: what a thief of the database file, or a crash at a bad moment, gets."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from mission_control.domain.values import SYSTEM
from mission_control.log.directory import DATABASE_FILE, DirectoryUnusable
from mission_control.log.event_log import Batch, Statement
from mission_control.log.seal_keys import KEY_FILE
from mission_control.log.sqlite import open_sqlite_log
from mission_control.log.vault import SecretUnreadable, Vault

SECRET = "-----BEGIN OPENSSH PRIVATE KEY----- correct horse battery staple"


def sealed_by(statement: Statement) -> bytes:
    sealed = statement.parameters[2]
    assert isinstance(sealed, bytes)
    return sealed


async def test_a_secret_is_nowhere_in_the_files_as_plain_text_and_comes_back(tmp_path: Path):
    vault = Vault(tmp_path)
    async with open_sqlite_log(tmp_path) as log:
        await log.append(Batch(events=(), actor=SYSTEM, beside=(vault.seal("desk_1", "privateKey", SECRET),)))
        while_open = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        async with log.snapshot() as snapshot:
            row = await snapshot.row("select owner, name, sealed from secrets")
    for stored in (while_open, b"".join(path.read_bytes() for path in tmp_path.iterdir())):
        assert b"correct horse" not in stored
        assert (tmp_path / KEY_FILE).read_bytes() not in (tmp_path / DATABASE_FILE).read_bytes()
    assert row is not None
    assert Vault(tmp_path).open(*row) == SECRET


async def test_a_deleted_secret_is_really_gone_from_the_table(tmp_path: Path):
    vault = Vault(tmp_path)
    async with open_sqlite_log(tmp_path) as log:
        seals = tuple(vault.seal("desk_1", name, SECRET) for name in ("a", "b")), (vault.seal("desk_2", "a", SECRET),)
        await log.append(Batch(events=(), actor=SYSTEM, beside=(*seals[0], *seals[1])))
        await log.append(Batch(events=(), actor=SYSTEM, beside=(vault.forget("desk_1"), vault.forget("desk_2", "b"))))
        async with log.snapshot() as snapshot:
            assert await snapshot.rows("select owner, name from secrets") == [("desk_2", "a")]


def test_the_same_secret_is_sealed_differently_each_time(tmp_path: Path):
    vault = Vault(tmp_path)
    assert sealed_by(vault.seal("o", "n", SECRET)) != sealed_by(vault.seal("o", "n", SECRET))


@pytest.mark.parametrize(("owner", "name"), [("desk_2", "privateKey"), ("desk_1", "password"), ("desk_1\0p", "")])
def test_a_secret_that_was_moved_to_another_place_does_not_open(tmp_path: Path, owner: str, name: str):
    vault = Vault(tmp_path)
    sealed = sealed_by(vault.seal("desk_1", "privateKey", SECRET))
    with pytest.raises(SecretUnreadable, match=r"^(?!.*battery).*$"):
        vault.open(owner, name, sealed)


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_secret_of_which_one_bit_was_changed_does_not_open(tmp_path: Path, at: int):
    vault = Vault(tmp_path)
    sealed = bytearray(sealed_by(vault.seal("o", "n", SECRET)))
    sealed[at] ^= 1
    with pytest.raises(SecretUnreadable):
        vault.open("o", "n", bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(12)])
def test_what_is_too_short_to_be_a_secret_does_not_open(tmp_path: Path, sealed: bytes):
    with pytest.raises(SecretUnreadable):
        Vault(tmp_path).open("o", "n", sealed)


def test_with_another_key_file_nothing_opens(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sealed = sealed_by(Vault(tmp_path / "a").seal("o", "n", SECRET))
    with pytest.raises(SecretUnreadable, match="another key"):
        Vault(tmp_path / "b").open("o", "n", sealed)


def test_the_key_file_is_the_owners_alone(tmp_path: Path):
    Vault(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_crash_while_the_key_file_was_made_does_no_harm(tmp_path: Path):
    (tmp_path / "seal.new").write_bytes(b"half")
    vault = Vault(tmp_path)
    assert Vault(tmp_path).open("o", "n", sealed_by(vault.seal("o", "n", SECRET))) == SECRET


def test_a_damaged_key_file_is_named_and_not_replaced(tmp_path: Path):
    (tmp_path / KEY_FILE).write_bytes(b"half")
    with pytest.raises(DirectoryUnusable, match=r"seal\.key is damaged: it has 4 bytes"):
        Vault(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"half"


async def test_the_schema_has_no_other_place_for_secrets(tmp_path: Path):
    async with open_sqlite_log(tmp_path):
        pass
    with sqlite3.connect(tmp_path / DATABASE_FILE) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    database.close()
    beside = {"meta", "secrets", "credentials", "sessions", "idempotency", "removals", "key_uses"}
    derived = {
        "tasks",
        "task_counts",
        "runs",
        "approvals",
        "desktops",
        "keys",
        "settings",
        "named_secrets",
        "known_hosts",
    }
    assert tables == {"events"} | beside | derived
