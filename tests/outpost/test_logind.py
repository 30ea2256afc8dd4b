"""Where logind ends what a session leaves behind: the daemon asks its account's service manager for a scope.

No systemd runs where tests run: a stand-in for the manager's socket reads what it is asked. `scripts/logind` shows the
rest on a real one.
"""

import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from mission_control.outpost import outpost

SIGNATURE = b"ssa(sv)a(sa(sv))"


def asked(link: socket.socket) -> bytes:
    """The one message that a peer sends after it has said who it is (D-Bus specification, Message Format)."""
    data = b""
    while not data.endswith(b"\r\nBEGIN\r\n") and b"\r\nBEGIN\r\n" not in data:
        data += link.recv(4096)
    hello, _, message = data.partition(b"\r\nBEGIN\r\n")
    assert hello == b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode()
    while len(message) < 16:
        message += link.recv(4096)
    body, _, fields = struct.unpack_from("<3I", message, 4)
    while len(message) < 16 + fields + -fields % 8 + body:
        message += link.recv(4096)
    assert len(message) == 16 + fields + -fields % 8 + body
    return message


def test_the_daemon_asks_for_a_scope_with_itself_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scope = b"mission-control-%d.scope" % os.getpid()
    messages: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as manager:
        manager.bind(str(tmp_path / "private"))
        manager.listen()

        def serve() -> None:
            link, _ = manager.accept()
            with link:
                messages.append(asked(link))

        def cgroups(_: str) -> bytes:
            moved = scope if messages else b"session-1.scope"
            return b"0::/user.slice/" + moved + b"\n"

        monkeypatch.setattr(outpost, "read", cgroups)
        thread = threading.Thread(target=serve)
        thread.start()
        assert outpost.enter_scope(str(tmp_path / "private"))
        thread.join()
    (message,) = messages
    assert message[:4] == b"l\1\0\1", "a method call, little-endian"
    for part in (b"StartTransientUnit\0", b"org.freedesktop.systemd1.Manager\0", SIGNATURE + b"\0", scope + b"\0"):
        assert part in message
    at = message.index(b"PIDs\0\2au\0")
    assert struct.pack("<2I", 4, os.getpid()) in message[at:]


def test_without_a_manager_nothing_is_asked_of_it(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        outpost.enter_scope(str(tmp_path / "private"))
