"""An agent's endpoint, asked by this server itself: it goes to an address that may be asked, and to no other.

The name is looked up once. Each of its addresses is judged, and the connection is made to just such an address, so
that a name whose answer changes between the look and the connection changes nothing. Neither redirects nor proxies and
.netrc of the environment are followed: the token goes where the desktop's description says and nowhere else.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
import httpx2

from ..domain.addresses import Network, agent_address_problem

ADDRESSES_MAX = 8  # of one name; the rest is not tried


class AddressRefused(Exception):
    """None of the addresses may be asked; the message says which, and why."""


@asynccontextmanager
async def open_answer(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    networks: Iterable[Network],
    timeout: httpx2.Timeout,  # noqa: ASYNC109 - of each step, not of the whole
    body: bytes | None = None,
) -> AsyncGenerator[httpx2.Response]:
    """The answer to one request; its body is read by the caller, as it comes.

    Raises AddressRefused before anything is sent, and httpx2's TransportError and TimeoutException.
    """
    target = httpx2.URL(url)
    addresses = await _addresses(target, tuple(networks), timeout.connect)
    named = dict(headers) | {"host": target.netloc.decode("ascii")}
    async with httpx2.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        for address in addresses:
            request = client.build_request(
                method,
                target.copy_with(host=address),
                headers=named,
                content=body,
                extensions={"sni_hostname": target.host},
            )
            try:
                response = await client.send(request, stream=True)
                break
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == addresses[-1]:
                    raise
        else:
            raise AssertionError("there is at least one address")
        try:
            yield response
        finally:
            await response.aclose()


async def _addresses(url: httpx2.URL, networks: tuple[Network, ...], seconds: float | None) -> list[str]:
    """The addresses of a URL's host that may be asked, as numbers."""
    try:
        with anyio.fail_after(seconds):
            found = await anyio.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise httpx2.ConnectTimeout(f"{url.host} could not be looked up in time") from None
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError(f"{url.host} is not known here: {error}") from error
    addresses = list(dict.fromkeys(address[0] for *_, address in found))[:ADDRESSES_MAX]
    wrong = {address: agent_address_problem(address, networks, from_desktop=False) for address in addresses}
    allowed = [address for address, problem in wrong.items() if problem is None]
    if not allowed:
        address, problem = next(iter(wrong.items()), (url.host, "has no address"))
        raise AddressRefused(f"{address} {problem}")
    return allowed
