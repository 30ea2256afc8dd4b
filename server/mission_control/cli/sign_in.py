"""`mission-control open`: a link for a browser."""

from __future__ import annotations

import sys

import msgspec

from .connection import HERE, Connection, open_client


class _Link(msgspec.Struct):
    url: str


def open_(*, server: Connection = HERE) -> None:
    """Print a link that signs a browser in as the server's owner. It works once, for ten minutes.

    Only on the server's own machine: it needs the data directory's socket.
    """
    from .client import decoded
    from .render import note

    with open_client(server) as client:
        link = decoded(client.post("/api/auth/links"), _Link)
    print(link.url)
    if sys.stderr.isatty():
        note("It works once, for ten minutes.")
