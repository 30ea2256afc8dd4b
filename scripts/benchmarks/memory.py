"""Memory: resident when idle with one open desktop, and what each idle WebSocket adds."""

from __future__ import annotations

import anyio
from _support import Site, Subscriber, in_thread, open_site, options_of, report


def with_sockets(site: Site, sockets: int) -> tuple[float, float]:
    """MB before and with so many subscribers."""
    site.subscriber().close()  # what the first one loads is not counted for each
    before = site.process.resident_mb
    held: list[Subscriber] = [site.subscriber(after=0) for _ in range(sockets)]
    after = site.process.resident_mb
    for subscriber in held:
        subscriber.close()
    return before, after


async def main() -> None:
    options = options_of(__doc__, sockets=1000)
    async with open_site() as site:
        before, after = await in_thread(with_sockets, site, options.sockets)
    each = (after - before) * 1024 / options.sockets
    rows = [{"what": "idle", "MB": before}, {"what": f"{options.sockets} WebSockets", "MB": after, "KB each": each}]
    report(options, rows)


if __name__ == "__main__":
    anyio.run(main)
