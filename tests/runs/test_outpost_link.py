"""What a host says when no outpost answers, and what follows from it: to try again, or that there can be none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.runs.connection import open_connection
from mission_control.runs.install import Attachment
from mission_control.runs.outpost_link import OutpostFailure, open_outpost
from tests.support.sshd import open_sshd

ATTACHMENT = Attachment(server="0" * 16, log="log", generation=1, nonce="")


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 0", "outpost_failed", "ended with code 0"),  # an outpost that was killed in this moment
        ("kill -KILL $$", "outpost_failed", "ended before it was ready"),  # as for lack of memory
        ("echo 'mission-control: the disk is full' >&2; exit 1", "outpost_failed", "the disk is full"),
        ("echo 'SyntaxError: invalid syntax' >&2; exit 1", "outpost_not_possible", "SyntaxError"),
        ("echo 'mission-control: Python 3.6 or newer is needed' >&2; exit 126", "outpost_not_possible", "3.6 or newer"),
        (None, "outpost_not_possible", "o such file"),
        ("yes", "shell_not_usable", "start-up files"),
    ],
)
async def test_only_a_host_that_cannot_have_an_outpost_goes_without_one(
    tmp_path: Path, script: str | None, code: str, words: str
):
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    async with open_sshd() as host, open_connection(host.target()) as connection:
        with pytest.raises(OutpostFailure) as failure:
            async with open_outpost(connection, ATTACHMENT, python=str(python)):
                pass
    assert failure.value.code == code
    assert words in failure.value.message
