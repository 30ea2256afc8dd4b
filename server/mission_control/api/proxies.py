"""Behind a proxy: where a request really comes from, told by `X-Forwarded-For` and `-Proto`.

These fields are taken from the proxies that the configuration names, and from nobody else: anybody can send them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Proxies = tuple[IPv4Network | IPv6Network, ...]

FORWARDED_MAX = 20  # addresses of a request that are looked at: more proxies stand in no row


def proxies_of(texts: Iterable[str]) -> Proxies:
    """The proxies that addresses such as 10.0.0.7 or 10.0.0.0/24 name. Raises ValueError with a sentence."""
    return tuple(ip_network(text) for text in texts)


class Forwarded:
    """Plain ASGI: puts the address and the scheme that a trusted proxy tells into the scope."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client and self._trusts(client[0]):
            headers = Headers(scope=scope)
            scope = {**scope, "client": (self._origin(headers, client[0]), 0)}
            proto = headers.getlist("x-forwarded-proto")
            if len(proto) == 1 and proto[0].strip().lower() == "https":
                scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        await self._app(scope, receive, send)

    def _trusts(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in network for network in self._proxies)

    def _origin(self, headers: Headers, peer: str) -> str:
        """The last address of the row that no trusted proxy has: what stands before it, anybody may have written."""
        row = [text.strip() for text in ",".join(headers.getlist("x-forwarded-for")).split(",")]
        for text in reversed(row[-FORWARDED_MAX:]):
            try:
                ip_address(text)
            except ValueError:
                return peer
            if not self._trusts(text):
                return text
            peer = text
        return peer
