"""Change where a remote is."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import given_token, shown_value, token_options
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape


@define()
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@click.option("--remote-domain", metavar="NAME", type=params.DOMAIN, help="The domain there, where URL does not say.")
@click.option("--env", "environment", metavar="NAME", help="Its environment: only domains of that one reach it.")
@token_options
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    url: str,
    remote_domain: str | None,
    environment: str | None,
    token: str | None,
    token_file: str | None,
) -> None:
    from dbx.ops.remote import set_url

    secret = given_token(token, token_file)
    with session(invocation) as opened:
        start = invocation.start_dir
        done = set_url(opened, name, url, domain=remote_domain, token=secret, start=start, environment=environment)
    emit(invocation, shown_value(done), [f"Changed the remote '{done.name}': {escape(done.url)}"])
