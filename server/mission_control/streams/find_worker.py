"""Searches text for a regular expression, in a process of its own: a pattern may take for ever, and holds the GIL.

Started by its path with a bare interpreter; it imports nothing of ours. On stdin and stdout go frames of a length
(4 bytes, big-endian) and as many bytes. A frame of text that begins with `P` or `p` (without regard to case) is a
pattern in UTF-8: answered with nothing, or with why it is none. One that begins with `T` is lines of text: answered
with the numbers of those that match, from 0, as 4 bytes each.

It ends with its input, and by the kernel's signal when one frame has taken a second of processor time: so no pattern
outlives the server for long.
"""

import array
import re
import resource
import signal
import sys

FRAME_SECONDS = 1.0
MEMORY_BYTES_MAX = 1024**3
ESCAPE = re.compile(rb"\x1b\[[0-9;:]{0,100}m")


def compiled(source: bytes, flags: int) -> "tuple[re.Pattern[str] | None, str]":
    """The pattern, or why it is none."""
    try:
        return re.compile(source.decode(), flags), ""
    except re.error as error:
        return None, str(error)
    except (RecursionError, OverflowError, MemoryError, ValueError) as error:
        return None, f"it is too large ({type(error).__name__})"


def matching(pattern: "re.Pattern[str]", text: bytes) -> bytes:
    """The numbers of the lines that match."""
    lines = ESCAPE.sub(b"", text).decode(errors="replace").split("\n")
    search = pattern.search
    found = array.array("I", [number for number, line in enumerate(lines[:-1]) if search(line)])
    if sys.byteorder == "little":
        found.byteswap()
    return found.tobytes()


def main() -> None:
    """Answer frames until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is the server's
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    except (ValueError, OSError):
        pass  # a system that does not know this limit, or has a lower one already
    wire_in, wire_out = sys.stdin.buffer, sys.stdout.buffer
    pattern: re.Pattern[str] | None = None
    while len(head := wire_in.read(4)) == 4:
        frame = wire_in.read(int.from_bytes(head, "big"))
        kind, content = frame[:1], frame[1:]
        signal.setitimer(signal.ITIMER_VIRTUAL, FRAME_SECONDS)
        if kind == b"T":
            assert pattern is not None, "text comes after its pattern"
            answer = matching(pattern, content)
        else:
            pattern, problem = compiled(content, re.IGNORECASE if kind == b"p" else 0)
            answer = problem.encode()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        wire_out.write(len(answer).to_bytes(4, "big") + answer)
        wire_out.flush()


if __name__ == "__main__":
    main()
