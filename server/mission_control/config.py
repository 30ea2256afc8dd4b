"""What is fixed at start: from flags, then environment (`MISSION_CONTROL_…`), then a TOML file, then defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .domain.addresses import networks_of

CONFIG_FILE = "mission-control.toml"
ENVIRONMENT_PREFIX = "MISSION_CONTROL_"
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - listens on every interface; no name of its own
LISTS = ("allowed_hosts", "trusted_proxies", "agent_networks")  # separated by commas in the environment
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class ConfigError(Exception):
    """A setting is not valid; the message names it and says what it may be."""


def default_data_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_DATA_HOME/mission-control`, usually `~/.local/share/mission-control`."""
    base = environment.get("XDG_DATA_HOME") or ""
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "mission-control"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one server runs."""

    host: str = "127.0.0.1"  # the address to listen on
    port: int = 8765  # 0 takes a free one
    data_dir: Path = msgspec.field(default_factory=default_data_dir)
    demo: bool = False  # offer a demo desktop and agent on this machine while there are no desktops
    allowed_hosts: tuple[str, ...] = ()  # further names that browsers may use for this server, without port
    allow_network: bool = False  # listen beyond loopback without TLS: something in front must encrypt
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks whose X-Forwarded-For and -Proto are taken
    requests_per_minute: int = 6000  # of one key or session; 0 is no limit
    wrong_keys_per_minute: int = 10  # from one address; 0 is no limit
    streams_per_key: int = 500  # sockets and event streams at once; 0 is no limit
    head_file: Path | None = None  # to which the log's head is appended, as a line of JSON
    head_webhook: str | None = None  # to which the log's head is posted
    head_every: float = 3600.0  # seconds between two heads
    agent_networks: tuple[str, ...] = ()  # in which agents may be asked, beside the loopback of their desktop
    public_metrics: bool = False  # /metrics answers without a key
    run_patience_seconds: float = 24 * 3600.0  # for which a run waits for a desktop that is away
    cancel_runs: bool = False  # when it stops, instead of leaving them to their desktops
    log_level: str = "info"  # debug, info, warning, error

    @property
    def tls(self) -> bool:
        return self.tls_cert is not None

    @property
    def is_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost") or self.host.startswith("127.")

    @property
    def host_names(self) -> frozenset[str]:
        """The names that a request's Host may have."""
        bound = () if self.host in ANY_ADDRESS else (self.host,)
        return frozenset((*LOOPBACK_NAMES, *self.allowed_hosts, *bound))


def load_config(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration from flags (those that are not None), environment and TOML file.

    The file is `MISSION_CONTROL_CONFIG`, or `mission-control.toml` in the data directory where there is one.
    Raises ConfigError.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    values: dict[str, Any] = {}
    for name in fields:
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            values[name] = tuple(filter(None, text.split(","))) if name in LISTS else text
    values |= given
    path = environment.get(ENVIRONMENT_PREFIX + "CONFIG")
    file = Path(path) if path else Path(values.get("data_dir") or default_data_dir(environment)) / CONFIG_FILE
    if path or file.is_file():
        values = _read(file) | values
    if "data_dir" in values:
        values["data_dir"] = Path(values["data_dir"]).expanduser().absolute()
    try:
        config = msgspec.convert(values, Config, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"A setting is not valid: {error}.") from None
    _check(config)
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The configuration file {file} cannot be read: {error}.") from None


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise NotImplementedError(kind)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_there = bool(parts.hostname) and parts.port != 0  # `port` raises for what is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_there and url.isascii() and url.isprintable() and " " not in url


def _check(config: Config) -> None:
    if not 0 <= config.port <= 65535:
        raise ConfigError(f"The port {config.port} is not between 0 and 65535.")
    if config.run_patience_seconds <= 0:
        raise ConfigError("The patience with a desktop that is away is more than 0 seconds.")
    try:
        networks_of(config.agent_networks)
    except ValueError as error:
        raise ConfigError(f"An agent network is one such as 10.0.0.0/8 or 192.168.7.20: {error}.") from None
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("TLS needs both --tls-cert and --tls-key.")
    for proxy in config.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError:
            raise ConfigError(f"The trusted proxy {proxy!r} is no address or network, such as 10.0.0.7.") from None
    for name in ("requests_per_minute", "wrong_keys_per_minute", "streams_per_key"):
        if getattr(config, name) < 0:
            raise ConfigError(f"The limit {name.replace('_', ' ')} is 0, which is none, or more.")
    if config.head_webhook is not None and not _is_address(config.head_webhook):
        raise ConfigError("The webhook for the log's head is an address such as https://example.com/heads.")
    if config.head_every < 1:
        raise ConfigError("Between two heads of the log there is at least 1 second.")
    if not config.is_loopback and not config.tls and not config.allow_network:
        raise ConfigError(
            f"Listening on {config.host} would send keys and commands over the network unencrypted. "
            "Use --tls-cert and --tls-key, or put a proxy with TLS in front and say so with --allow-network."
        )
