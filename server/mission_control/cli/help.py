"""What the help pages of several commands share."""

from __future__ import annotations

EXIT_CODES = (  # of a command that watches a run
    "\n\nExit codes: 0 done (or waiting for review), the command's own code, 128 + signal, 1 failed without one,"
    " 2 wrong command line, 3 no server, 4 not allowed, 130 left with Ctrl-C."
)


def examples(*lines: str) -> str:
    """Examples at the end of a help page."""
    return "Examples:\n\n" + "\n".join(f"  {line}" for line in lines)
