"""The server's own TLS: a certificate that is renewed on the disk is used from then on; no connection is dropped."""

from __future__ import annotations

import ssl
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

LOOK_SECONDS = 2.0  # between two looks at the files

_logger = structlog.get_logger(__name__)


class CertificateUnusable(Exception):
    """The certificate or its key cannot be used; the message says why."""


def check_certificate(cert: Path, key: Path) -> None:
    """Raise CertificateUnusable unless the two files belong together and can be read."""
    try:
        # Without a passphrase the library would ask for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else str(error)
        raise CertificateUnusable(f"The certificate {cert} with the key {key} cannot be used: {reason}.") from None


async def keep_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Give a context the certificate anew whenever its files have changed; never ends.

    What cannot be used, such as a pair that is half written, is not taken: the one before goes on.
    """
    seen = await anyio.to_thread.run_sync(_state_of, cert, key)
    while True:
        await anyio.sleep(LOOK_SECONDS)
        now = await anyio.to_thread.run_sync(_state_of, cert, key)
        if now == seen:
            continue
        seen = now
        try:
            await anyio.to_thread.run_sync(check_certificate, cert, key)
            context.load_cert_chain(cert, key)
        except (CertificateUnusable, OSError) as error:
            _logger.warning("the changed certificate is not used", reason=str(error))
        else:
            _logger.info("the changed certificate is used from now on", certificate=str(cert))


def _state_of(*paths: Path) -> list[tuple[int, int, int] | None]:
    """What changes when a file is written or replaced."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
    return found
