"""How the command line says that something did not work: a sentence on stderr, and an exit code for scripts."""

from __future__ import annotations

OK = 0
FAILED = 1  # refused by the server, or the task failed without an exit code of its own
USAGE = 2  # the command line itself is wrong
UNREACHABLE = 3  # no server answers
NOT_ALLOWED = 4  # no key, a wrong key, or a role that is too small
INTERRUPTED = 130  # left with Ctrl-C, as shells have it: 128 + SIGINT
BROKEN_PIPE = 141  # whoever read our output has gone: 128 + SIGPIPE


class Failed(Exception):
    """The command cannot be carried out; the message says why and what to do."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Lost(Exception):
    """A connection ended that may come back; the message says how it ended."""
