"""Configure a listener that is sent one JSON line for each event."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import finish_config, given_options, name_option, reach_options


@define()
@name_option
@click.option("--host", metavar="HOST", required=True, help="The host to connect to.")
@click.option("--port", metavar="PORT", type=click.IntRange(1, 65535), required=True, help="The port.")
@reach_options
@given_options
@pass_invocation
def command(
    invocation: Invocation,
    /,
    name: str,
    host: str,
    port: int,
    allow_private: bool,
    timeout_s: float | None,
    **given: Any,
) -> None:
    from dbx.model.plugin import TcpConfig

    finish_config(
        invocation, name, TcpConfig(host, port, allow_private, 5.0 if timeout_s is None else timeout_s), given
    )
