"""A desktop whose systemd ends processes at logout, for real; see scripts/logind."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).resolve().parents[2]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "server"), str(ROOT)])

from tests.support.processes import children_of  # noqa: E402
from tests.support.server_process import ServerProcess, open_server  # noqa: E402
from tests.support.waiting import until  # noqa: E402

PACKAGES = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,python3-minimal,libpython3-stdlib,procps"
ACCOUNT = "worker"
COUNT = 40  # lines, five a second
TASKS = "/api/mission-control/tasks"


def install(root: Path, key: Path, port: int) -> None:
    """Debian with our account, a new key for it, and a logind that ends what is left of a session."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    if not (root / "etc/debian_version").exists():
        print("Downloading Debian …", flush=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["chroot", root, "useradd", "-m", "-s", "/bin/bash", ACCOUNT], check=True)
    for path, text in (
        ("etc/machine-id", secrets.token_hex(16) + "\n"),
        ("etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n"),
        ("etc/ssh/sshd_config.d/port.conf", f"Port {port}\nListenAddress 127.0.0.1\n"),
        (f"home/{ACCOUNT}/.ssh/authorized_keys", key.with_suffix(".pub").read_text()),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    subprocess.run(["chroot", root, "chown", "-R", f"{ACCOUNT}:", f"/home/{ACCOUNT}"], check=True)
    (root / "var/lib/systemd/linger" / ACCOUNT).unlink(missing_ok=True)


class Container:
    """A booted Debian, which shares this machine's network."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, *command: str) -> str:
        """What a command prints there, as root."""
        inside = ["nsenter", "-t", str(children_of(self._process.pid)[0]), "-a", *command]
        return subprocess.run(inside, check=False, capture_output=True, text=True).stdout


@contextmanager
def booted(root: Path) -> Generator[Container]:
    """Boot it; it is switched off with the block."""
    command = ["systemd-nspawn", "-q", "-D", str(root), "--boot", "--register=no", "--keep-unit"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield Container(process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def trial(server: ServerProcess, container: Container, name: str, ssh: dict[str, Any]) -> tuple[str, str, str]:
    """Run a command, end its session: the desktop's warning, how the task ended, and its output."""
    http = server.http
    desktop = (await http.post("/api/desktops", json={"name": name, "ssh": ssh})).raise_for_status().json()
    path = f"/api/desktops/{desktop['id']}"
    confirmed = {"ssh": {"hostKeyFingerprint": desktop["ssh"]["offeredFingerprints"][0]}}
    (await http.patch(path, json=confirmed)).raise_for_status()

    async def running() -> dict[str, Any] | None:
        now: dict[str, Any] = (await http.get(path)).json()
        return now if now["status"] == "running" and now["outpost"] else None

    there = await until(running, "the desktop")
    content = f"for i in $(seq {COUNT}); do echo $i; sleep 0.2; done"
    new = {"type": "command", "content": content, "desktopId": desktop["id"], "run": True}
    task = f"{TASKS}/{(await http.post(TASKS, json=new)).raise_for_status().json()['id']}"

    async def printed() -> bool:
        return "5" in (await http.get(f"{task}/output")).text.split()

    await until(printed, "its first lines")
    container.run("pkill", "-f", f"sshd: {ACCOUNT}")

    async def ended() -> dict[str, Any] | None:
        now: dict[str, Any] = (await http.get(task)).json()
        return None if now["status"] == "running" else now

    end = await until(ended, "its end")
    assert there is not None and end is not None
    output = (await http.get(f"{task}/output")).text
    (await http.delete(f"{path}")).raise_for_status()
    return there["outpost"]["warning"] or "", end["error"]["code"] if end["error"] else end["status"], output


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    given: Path | None = parser.parse_args().root
    whole = "".join(f"{number}\n" for number in range(1, COUNT + 1))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mission-control-logind-")))
        key = folder / "key"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        root = given or folder / "root"
        await anyio.to_thread.run_sync(install, root, key, port)
        container = stack.enter_context(booted(root))
        private = await anyio.Path(key).read_text()
        auth = {"kind": "key", "privateKey": private}
        ssh = {"host": "127.0.0.1", "port": port, "username": ACCOUNT, "auth": auth}

        async def reachable() -> bool:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                return False
            return "running" in container.run("systemctl", "is-system-running")

        await until(reachable, "Debian to boot")
        async with open_server(folder / "data", demo=False) as server:
            warning, end, output = await trial(server, container, "may not linger", ssh)
            print(f"may not linger: {end} after {len(output.split())} lines; the desktop says: {warning}")
            is_said = "KillUserProcesses" in warning and end != "done" and whole.startswith(output)
            container.run("loginctl", "enable-linger", ACCOUNT)
            warning, end, output = await trial(server, container, "may linger", ssh)
            print(f"may linger: {end} after {len(output.split())} lines; the desktop says: {warning or 'nothing'}")
            goes_on = not warning and end == "done" and output == whole
    print("as promised" if is_said and goes_on else "NOT as promised")
    return 0 if is_said and goes_on else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main))
