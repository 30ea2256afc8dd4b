"""The way of the outpost to a desktop: a command line that every shell takes, and the source over stdin.

The line is fixed, so that nothing has to be quoted. The shell stays the outpost's parent (hence the `; exit`): from it
the outpost takes the environment that sshd made, before any start-up file changed it. What such files print comes
before a nonce that we sent, and is skipped.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from .. import outpost

NOISE_BYTES_MAX = 64 * 1024  # of what a shell's start-up files print before the outpost answers
PYTHON = re.compile(r"[A-Za-z0-9_./+-]+")  # a name or path that means itself in every shell

LOADER = "import sys,zlib;exec(zlib.decompress(sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))))"
assert not set(LOADER) & set("'!\\\n$`"), "the loader means itself between single quotes in every shell"


class NoNonce(Exception):
    """More noise came than start-up files print."""


class Attachment(Struct, frozen=True, kw_only=True):
    """What a server says when it attaches. `log` and `generation` decide which of two copies of a server may."""

    server: str
    log: str
    generation: int
    nonce: str
    directory: str | None = None  # instead of ~/.local/state/mission-control
    idle: float | None = None  # seconds without server and run until the outpost leaves


@cache
def source() -> bytes:
    """The outpost, as it is sent."""
    return (Path(outpost.__file__).parent / "outpost.py").read_bytes()


@cache
def version() -> str:
    """Names this source: another one replaces the outpost that runs."""
    return sha256(source()).hexdigest()[:12]


def command_line(python: str = "python3") -> str:
    """What the account's shell is given. `-I` and `-S`: nothing of the account's own is imported.

    Raises ValueError when the interpreter's path is not one that every shell reads alike.
    """
    if not PYTHON.fullmatch(python) or python.startswith("-"):
        raise ValueError(f"{python!r} is not the plain path of a Python interpreter")
    return f"{python} -ISc '{LOADER}'; exit"


def to_send(attachment: Attachment) -> bytes:
    """What goes to its stdin: a line with the length, the compressed source, and the call that starts it."""
    facts = {name: getattr(attachment, name) for name in Attachment.__struct_fields__}
    given = {name: value for name, value in facts.items() if value is not None} | {"version": version()}
    packed = zlib.compress(source() + b"\nattach(%s)\n" % ascii(given).encode(), 6)
    return b"%d\n%b" % (len(packed), packed)


class NonceFinder:
    """Skips what a shell's start-up files print, up to the line with our nonce."""

    def __init__(self, nonce: str) -> None:
        self._mark = nonce.encode() + b"\n"
        self._noise = bytearray()

    @property
    def noise(self) -> bytes:
        """What came and is not ours: the start of an explanation when nothing else comes."""
        return bytes(self._noise)

    def feed(self, data: bytes) -> bytes | None:
        """What follows the nonce, once it has come. Raises NoNonce."""
        searched = max(0, len(self._noise) - len(self._mark))
        self._noise += data
        found = self._noise.find(self._mark, searched)
        if found >= 0:
            rest = bytes(self._noise[found + len(self._mark) :])
            del self._noise[found:]
            return rest
        if len(self._noise) > NOISE_BYTES_MAX:
            said = f"more than {NOISE_BYTES_MAX >> 10} KiB before it starts anything"
            raise NoNonce(f"The account's shell prints {said}; see its start-up files.")
        return None
