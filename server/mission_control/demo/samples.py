"""A few files for the demo desktop's folder, so that there is something to list, measure and summarise at once."""

from __future__ import annotations

from pathlib import Path

_WELCOME = """# Welcome to the demo desktop

This folder belongs to a desktop that Mission Control made for trying things out. It is a real SSH server on this
machine, and commands run as your own account, so treat it with the care of any other shell.

## Try

- A command task: `ls -l`, or `for i in $(seq 10); do echo line $i; sleep 1; done`
- A prompt task: “Summarise the files”, “How full is the disk?”, “Give me a system report”
- A prompt with commands: “Run `uname -a` and `df -h`”

## Remove it

Delete the desktop on the Desktops page; your own desktops are not affected.
"""

_SALES = (("January", 41, 12_300), ("February", 38, 11_020), ("March", 52, 16_480), ("April", 47, 14_150))

_REQUESTS = ("GET /", "GET /prices", "POST /orders", "GET /orders/17", "GET /favicon.ico")


def write_samples(folder: Path) -> None:
    """Write the sample files into an empty folder."""
    (folder / "WELCOME.md").write_text(_WELCOME)
    rows = ["month,orders,revenue", *(f"{month},{orders},{revenue}" for month, orders, revenue in _SALES)]
    (folder / "sales.csv").write_text("\n".join(rows) + "\n")
    (folder / "logs").mkdir()
    (folder / "logs" / "shop.log").write_text("".join(_log_lines()))


def _log_lines() -> list[str]:
    lines: list[str] = []
    for at in range(240):
        request, clock = _REQUESTS[at % len(_REQUESTS)], f"2026-03-01 12:{at // 60:02}:{at % 60:02}"
        if at % 60 == 37:
            lines.append(f"{clock} ERROR {request} 500 payment provider did not answer within 5 s\n")
        elif at % 17 == 0:
            lines.append(f"{clock} WARNING {request} 404 not found\n")
        else:
            lines.append(f"{clock} INFO {request} 200 {11 + at * 7 % 90} ms\n")
    return lines
