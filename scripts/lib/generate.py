"""Writes, or with --check compares, every file that is made from others. Runs in the environment of scripts/setup."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
REQUIREMENTS = ROOT / "scripts" / "requirements"
DIFF_LINES_MAX = 40
STATUSES = ("proposed", "accepted", "replaced by")
PARTS = ("Context", "Options", "Decision", "What follows", "How we would notice that it was wrong")


class NotMade(Exception):
    """A source is not what the generator expects; the message says where and what."""


def decisions_index() -> str:
    """The table of docs/decisions, from the headers of its records. Checks their form as well."""
    rows = [_decision(file) for file in sorted(DECISIONS.glob("[0-9]*.md"))]
    numbers = [row[0] for row in rows]
    if numbers != sorted(set(numbers)):
        raise NotMade(f"two decisions have the same number: {numbers}")
    lines = [f"| {number} | [{title}]({name}) | {status} | {date} |" for number, title, name, status, date in rows]
    table = "\n".join(lines)
    return f"""# Decisions

What is costly to reverse, why it was decided so, and how we would notice that it was wrong. How a thing works today
is in the living pages ([architecture](../architecture.md)); a record is not changed afterwards but replaced by a later
one. A new one begins as a copy of [template.md](template.md). This page is made by `scripts/generate`.

| | decision | status | date |
|---|---|---|---|
{table}
"""


def _decision(file: Path) -> tuple[str, str, str, str, str]:
    text = file.read_text()
    header = re.match(r"# (\d{4}) (.+)\n\n- Status: (.+)\n- Date: (\d{4}-\d\d-\d\d)\n", text)
    name = file.relative_to(ROOT)
    if header is None:
        raise NotMade(f"{name} does not begin like docs/decisions/template.md")
    number, title, status, date = header.groups()
    if not file.name.startswith(f"{number}-"):
        raise NotMade(f"{name} calls itself {number}")
    if not status.startswith(STATUSES):
        raise NotMade(f"{name}: the status is one of: {', '.join(STATUSES)}")
    if tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) != PARTS:
        raise NotMade(f"{name}: the parts are, in this order: {', '.join(PARTS)}")
    return number, title, file.name, status, date


def wire_types() -> str:
    """The dashboard's types of all that goes over the wire, from the structs of the server, by way of OpenAPI."""
    described = json.loads(_output([sys.executable, "-m", "mission_control.api.openapi"]))
    schemas = {key: described[key] for key in ("openapi", "info")}
    schemas |= {"paths": {}, "components": {"schemas": described["components"]["schemas"]}}
    program = ROOT / "frontend" / "node_modules" / ".bin" / "openapi-typescript"
    # In requests a field with a default may be left out; answers name all their fields as required.
    options = ["--root-types", "--root-types-no-schema-prefix", "--default-non-nullable", "false"]
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "openapi.json", Path(folder) / "types.ts"
        source.write_text(json.dumps(schemas))
        _output([str(program), str(source), "--output", str(made), *options])
        text = made.read_text()
    header, _, types = text.partition("*/\n")
    if "auto-generated" not in header:
        raise NotMade("openapi-typescript no longer begins its files with a comment")
    return f"// Made by scripts/generate from the server's types. Not edited by hand.\n{types}"


def keys_page() -> str:
    """The page of all keys, from the table that feeds the dashboard's handlers."""
    registry = ROOT / "frontend" / "src" / "lib" / "keys" / "registry.ts"
    row = re.compile(r"\{\s*id: '([\w-]+)',\s*keys: '([^']+)',\s*label: '([^']+)',\s*group: '(\w+)'")
    rows = row.findall(registry.read_text())
    if len(rows) != registry.read_text().count(" id: '"):
        raise NotMade("frontend/src/lib/keys/registry.ts has a key that is not: id, keys, label, group")
    parts = [
        f"## {group}\n\n| keys | |\n|---|---|\n"
        + "".join(f"| {_keys_in_words(keys)} | {label} |\n" for _, keys, label, its in rows if its == group)
        for group in dict.fromkeys(group for *_, group in rows)
    ]
    return """# Keys

Every key of the dashboard; <kbd>?</kbd> shows the same there. They are off in text fields and dialogs, never take what
the browser uses itself, and can be switched off in Settings (all but those with <kbd>Ctrl</kbd>). Letters of a pair are
pressed one after the other. This page is made by `scripts/generate` from the table that the dashboard itself reads.

""" + "\n".join(parts)


def _keys_in_words(keys: str) -> str:
    """`Mod+k` as `<kbd>Ctrl</kbd> or <kbd>⌘</kbd> <kbd>K</kbd>`."""
    if keys.startswith("Mod+"):
        return f"<kbd>Ctrl</kbd> or <kbd>⌘</kbd> {_keys_in_words(keys.removeprefix('Mod+'))}"
    pressed = [f"Shift {key}" if len(key) == 1 and key.isupper() else key for key in keys.split(" ")]
    shown = " ".join(pressed).replace("Escape", "Esc").split(" ")
    return " ".join(f"<kbd>{key.upper() if len(key) == 1 else key}</kbd>" for key in shown)


def _output(command: list[str]) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NotMade(f"`{' '.join(command)}` failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def requirements_digest() -> str:
    """What scripts/requirements was made from, so that a forgotten scripts/lock is noticed without a network."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    source = [project["project"]["requires-python"], project["project"]["dependencies"], project["dependency-groups"]]
    pins = [(REQUIREMENTS / f"{name}.txt").read_text() for name in ("run", "dev", "node")]
    if any("://" in text for text in pins):
        raise NotMade("scripts/requirements names an address; make it again with scripts/lock")
    digest = hashlib.sha256(json.dumps(source).encode()).hexdigest()
    return f"""# Pinned packages

Made by `scripts/lock` from `pyproject.toml`; not edited by hand. With digests of all files, for every supported system
and version of Python, installed by `scripts/setup` with plain pip.

- `run.txt`: what the server needs, and hatchling to install it in place
- `dev.txt`: the same and all tools
- `node.txt`: Node for building the dashboard, only where the system has none that is new enough

Digest of what `pyproject.toml` asked for: `{digest}`
"""


FILES: dict[Path, Callable[[], str]] = {
    DECISIONS / "README.md": decisions_index,
    ROOT / "docs" / "keys.md": keys_page,
    ROOT / "frontend" / "src" / "lib" / "api" / "types.gen.ts": wire_types,
}
# Not written by scripts/generate: only scripts/lock may say that the pins are current.
LOCK = REQUIREMENTS / "README.md"


def main() -> int:
    flags = sys.argv[1:]
    if flags not in ([], ["--check"], ["--requirements"]):
        sys.exit("See scripts/generate --help.")
    try:
        if flags == ["--requirements"]:
            LOCK.write_text(requirements_digest())
            return 0
        stale = [_put(file, make(), check=flags == ["--check"]) for file, make in FILES.items()]
        if flags == ["--check"] and LOCK.read_text() != requirements_digest():
            print("pyproject.toml asks for other packages than scripts/requirements pins: run scripts/lock.")
            stale.append(True)
    except NotMade as error:
        sys.exit(f"{error}.")
    return 1 if any(stale) else 0


def _put(file: Path, wanted: str, *, check: bool) -> bool:
    """Whether the file is to be made anew by hand: never when it may be written."""
    present = file.read_text() if file.is_file() else ""
    if present == wanted:
        return False
    name = str(file.relative_to(ROOT))
    if check:
        print(f"{name} is not current: run scripts/generate.")
        difference = difflib.unified_diff(
            present.splitlines(keepends=True), wanted.splitlines(keepends=True), name, name
        )
        sys.stdout.writelines(itertools.islice(difference, DIFF_LINES_MAX))
        return True
    file.write_text(wanted)
    print(f"{name} written")
    return False


if __name__ == "__main__":
    sys.exit(main())
