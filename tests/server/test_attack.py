"""What no good client sends: the whole battery of scripts/attack, with its own server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
async def test_no_bad_request_or_socket_gets_anything_but_a_refusal():
    command = [sys.executable, ROOT / "scripts" / "lib" / "attack.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT, env=environment)
    assert done.returncode == 0, done.stdout.decode()
