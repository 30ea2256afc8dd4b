"""The tables of the log's file, as steps: `NNNN_what.sql`, each carried out once, in the order of its number.

A file's `user_version` is the number of its last step. A step that was released is never changed; what comes later is a
step of its own, so that the file of every earlier version opens.
"""

from __future__ import annotations

from importlib.resources import files

STEPS: dict[int, str] = {
    int(file.name[:4]): file.read_text()
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
}
"""SQL by number, in order."""

VERSION = max(STEPS)

WHOLE = "\n".join(STEPS.values())
"""What makes all tables in an empty file."""
