"""Make a domain that is a copy of a remote's, with its whole history."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import access, aggregate_options, check_aggregate, counted, point_value, reach_options
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.ops.clone import Cloned
    from dbx.ops.session import Session


@define()
@click.argument("url", metavar="URL")
@click.argument("name", metavar="[NAME]", required=False, type=params.DOMAIN)
@aggregate_options
@click.option("--remote-domain", metavar="NAME", type=params.DOMAIN, help="The domain there, where URL does not say.")
@reach_options
@pass_invocation
def command(
    invocation: Invocation,
    url: str,
    name: str | None,
    aggregate_type: str | None,
    aggregate_id: str | None,
    remote_domain: str | None,
    token: str | None,
    token_file: str | None,
) -> None:
    from dbx.ops.clone import clone
    from dbx.ops.remote import absolute

    check_aggregate(aggregate_type, aggregate_id)
    url = absolute(url, invocation.start_dir)
    with _session(invocation) as (opened, is_new), progress(invocation, None, "cloning") as bar:
        done = clone(
            opened,
            url,
            name or invocation.domain,
            access(invocation, token, token_file, bar),
            remote_domain=remote_domain,
            aggregate_type=aggregate_type,
            aggregate_id=aggregate_id,
            checkout=is_new,
        )
    document = {**done._asdict(), "head": point_value(done.head)}
    emit(invocation, document, _lines(done))


@contextmanager
def _session(invocation: Invocation) -> Iterator[tuple[Session, bool]]:
    """The repository, made where there is none yet, and unmade when nothing came; whether it was."""
    is_new = False
    try:
        with session(invocation):
            pass
    except NotFound:
        if invocation.dbx_dir is not None or not os.path.isdir(invocation.start_dir):
            raise
        from dbx.ops.init import init

        init(invocation.start_dir, domain=None, clock=invocation.clock, wait_s=invocation.wait_s)
        is_new = True
    with session(invocation) as opened:
        try:
            yield opened, is_new
        except BaseException:
            if is_new:
                from dbx.ops.clone import give_up

                give_up(opened)
            raise


def _lines(done: Cloned) -> list[str]:
    what = f"{counted(done.commits, 'commit')}, {counted(done.events, 'event')}"
    kind = "Copied aggregates into" if done.partial else "Cloned into"
    lines = [f"{kind} domain '{done.domain}' (data directory: {escape(done.path)}): {what}, verified."]
    if done.resumed:
        lines.append(f"{counted(done.resumed, 'commit')} had come before the last attempt was interrupted.")
    if done.switched:
        lines.append(f"Switched to domain '{done.domain}'.")
    return lines
