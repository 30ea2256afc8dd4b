"""`mission-control serve`: the server. The one module of the command line that knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .failures import USAGE, Failed


def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one. [default: 8765]")] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="Where everything is kept. [default: ~/.local/share/mission-control]")
    ] = None,
    demo: Annotated[bool | None, Parameter(help="Offer a demo desktop and agent while there are no desktops.")] = None,
    allowed_host: Annotated[
        list[str] | None,
        Parameter(help="A further name that browsers may use for this server; may be given several times."),
    ] = None,
    allow_network: Annotated[
        bool | None,
        Parameter(help="Listen beyond this machine without TLS: a proxy in front must encrypt."),
    ] = None,
    tls_cert: Annotated[Path | None, Parameter(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, Parameter(help="Its private key (PEM).")] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        Parameter(
            help="Address or network of a proxy in front, whose X-Forwarded-For and X-Forwarded-Proto are taken; may be"
            " given several times."
        ),
    ] = None,
    requests_per_minute: Annotated[
        int | None, Parameter(help="Requests of one key or session; 0 is no limit. [default: 6000]")
    ] = None,
    wrong_keys_per_minute: Annotated[
        int | None, Parameter(help="Wrong keys from one address; 0 is no limit. [default: 10]")
    ] = None,
    streams_per_key: Annotated[
        int | None, Parameter(help="Open streams of one key; 0 is no limit. [default: 500]")
    ] = None,
    head_file: Annotated[
        Path | None,
        Parameter(help="Append the log's head to this file, better on another disk, for `log verify --head`."),
    ] = None,
    head_webhook: Annotated[str | None, Parameter(help="Post the log's head to this address, as JSON.")] = None,
    head_every: Annotated[float | None, Parameter(help="Seconds between two heads. [default: 3600]")] = None,
    agent_network: Annotated[
        list[str] | None,
        Parameter(
            help="A network in which agents may be asked, such as 10.0.0.0/8, beside the loopback of their desktop; "
            "may be given several times."
        ),
    ] = None,
    public_metrics: Annotated[bool | None, Parameter(help="Answer /metrics (for Prometheus) without a key.")] = None,
    run_patience_seconds: Annotated[
        float | None,
        Parameter(help="How long a run waits for a desktop that is away, before it fails. [default: 86400, a day]"),
    ] = None,
    cancel_runs: Annotated[
        bool | None,
        Parameter(help="At Ctrl-C, cancel what runs instead of leaving it to the desktops."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, Parameter(help="How much to log. [default: info]")
    ] = None,
) -> int:
    """Start the server and its dashboard, until Ctrl-C. What runs on desktops then goes on there.

    Every setting can also come from the environment (MISSION_CONTROL_PORT=…), or from mission-control.toml in the data
    directory.
    """
    from ..config import ConfigError, load_config

    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "demo": demo,
        "allowed_hosts": tuple(allowed_host) if allowed_host else None,
        "allow_network": allow_network,
        "agent_networks": tuple(agent_network) if agent_network else None,
        "public_metrics": public_metrics,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "trusted_proxies": tuple(trusted_proxy) if trusted_proxy else None,
        "requests_per_minute": requests_per_minute,
        "wrong_keys_per_minute": wrong_keys_per_minute,
        "streams_per_key": streams_per_key,
        "head_file": head_file.expanduser().absolute() if head_file else None,
        "head_webhook": head_webhook,
        "head_every": head_every,
        "run_patience_seconds": run_patience_seconds,
        "cancel_runs": cancel_runs,
        "log_level": log_level,
    }
    try:
        config = load_config(flags)
    except ConfigError as error:
        raise Failed(str(error), USAGE) from None

    import anyio

    from ..server import StartFailed, serve

    try:
        return anyio.run(serve, config, backend_options={"use_uvloop": True})
    except StartFailed as error:
        raise Failed(str(error)) from None
