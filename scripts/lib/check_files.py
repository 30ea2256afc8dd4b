"""Looks at every file that git would take: the mistakes that no formatter sees.

Text ends with one line feed, has no trailing blanks, no carriage returns and no marks of a conflict; nothing is larger
than 1 MiB; no private key is committed; nothing names the host of a package index, so that mirrors work.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE_BYTES_MAX = 1024 * 1024
BINARY = (".png", ".jpg", ".ico", ".woff2", ".db", ".gz", ".bin")
RULES = {
    "ends with no line feed": re.compile(rb"[^\n]\Z"),
    "ends with blank lines": re.compile(rb"\n\n\Z"),
    "has blanks at the end of a line": re.compile(rb"[ \t]$", re.MULTILINE),
    "has carriage returns": re.compile(rb"\r"),
    "has marks of a conflict": re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE),
    "holds a private key": re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----$\n[A-Za-z0-9+/]{40}", re.MULTILINE),
    "names the host of a package index": re.compile(rb"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org"),
}


def main() -> int:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False)
    if listed.returncode != 0:
        sys.exit(f"git cannot list the files of {ROOT}: {listed.stderr.decode(errors='replace').strip()}")
    failures = [f"{name}: {trouble}" for name in _names(listed.stdout) for trouble in _troubles(name)]
    print("\n".join(failures), end="\n" if failures else "")
    return 1 if failures else 0


def _names(listed: bytes) -> list[str]:
    names = sorted({name.decode() for name in listed.split(b"\0") if name})
    return [name for name in names if (ROOT / name).is_file()]


def _troubles(name: str) -> list[str]:
    file = ROOT / name
    if file.stat().st_size > FILE_BYTES_MAX:
        return [f"is larger than {FILE_BYTES_MAX // 1024} KiB"]
    if file.suffix in BINARY:
        return []
    content = file.read_bytes()
    found: list[str] = []
    for trouble, pattern in RULES.items():
        if match := pattern.search(content):
            line = content.count(b"\n", 0, match.start()) + 1
            found.append(f"line {line} {trouble}")
    return found


if __name__ == "__main__":
    sys.exit(main())
