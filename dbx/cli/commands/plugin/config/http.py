"""Configure a web hook: each event is a POST."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli import params
from dbx.cli.complete import complete_word
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import finish_config, given_options, name_option, reach_options, read_headers, split_pairs
from dbx.errors import UsageError


@define()
@name_option
@click.option("--endpoint", metavar="URL", required=True, help="Where to POST to; without a scheme http.")
@click.option("--https", is_flag=True, help="It must be https; without a scheme it is.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header of each request. Repeatable.")
@click.option(
    "--header-file", metavar="FILE", help="Headers from a file, 'Name: value' lines, for those that are secret."
)
@click.option(
    "--hmac-key", "--secret", "hmac_key", metavar="KEY", type=params.SECRET, help="Sign bodies with it; - reads it."
)
@click.option("--hmac-key-file", "--secret-file", "hmac_key_file", metavar="FILE", help="The key is in its first line.")
@click.option(
    "--format",
    "format_name",
    metavar="FORMAT",
    default="eventdbx",
    shell_complete=complete_word("FORMATS"),
    help="eventdbx (default) or cloudevents.",
)
@reach_options
@given_options
@pass_invocation
def command(
    invocation: Invocation,
    /,
    name: str,
    endpoint: str,
    https: bool,
    headers: tuple[str, ...],
    header_file: str | None,
    hmac_key: str | None,
    hmac_key_file: str | None,
    format_name: str,
    allow_private: bool,
    timeout_s: float | None,
    **given: Any,
) -> None:
    from dbx.model.plugin import HttpConfig
    from dbx.model.pluginparse import normalise_endpoint

    if hmac_key is not None and hmac_key_file is not None:
        raise UsageError("give the key or the file that holds it, not both")
    if hmac_key_file is not None:
        hmac_key = params.read_secret_file(hmac_key_file)
    pairs = {**(read_headers(header_file) if header_file else {}), **split_pairs(headers, "header")}
    config = HttpConfig(
        normalise_endpoint(endpoint, https=https),
        tuple(pairs.items()),
        hmac_key,
        format_name,
        allow_private,
        5.0 if timeout_s is None else timeout_s,
    )
    finish_config(invocation, name, config, given)
