"""Switch to another domain, make one, fork one, or delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli import params
from dbx.cli.complete import complete_source
from dbx.cli.context import Invocation, Options, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import given_token
from dbx.cli.render import emit, note
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import UsageError

if TYPE_CHECKING:
    from dbx.ops.checkout import CheckedOut, Doomed
    from dbx.ops.session import Session


@define()
@click.argument("name", metavar="DOMAIN", required=False, type=params.DOMAIN)
@click.option("-c", "--create", is_flag=True, help="Make the domain if there is none of that name.")
@click.option(
    "--from",
    "source",
    metavar="DOMAIN[@REF]",
    shell_complete=complete_source,
    help="Make it as a fork: with another domain's history.",
)
@click.option("--delete", is_flag=True, help="Delete the domain with all its events.")
@click.option("--force", is_flag=True, help="With --delete: do not ask, and delete staged events too.")
@click.option("--remote", "url", metavar="URL", help="Where push, pull and fetch find the other repository.")
@click.option("--remote-domain", metavar="NAME", help="The domain there, where URL does not say.")
@click.option("--token", metavar="TOKEN", type=params.SECRET, help="The token for the remote; - reads it.")
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@params.yes_option
@pass_invocation
def command(
    invocation: Invocation,
    name: str | None,
    create: bool,
    source: str | None,
    delete: bool,
    force: bool,
    url: str | None,
    remote_domain: str | None,
    token: str | None,
    token_file: str | None,
    yes: bool,
) -> None:
    name = _name(name)
    token = given_token(token, token_file)
    has_remote = not (url is None and remote_domain is None and token is None)
    if delete and has_remote:
        raise UsageError("'--delete' goes with nothing that is about a remote")
    if delete and (create or source is not None):
        raise UsageError("'--delete' goes with neither '--create' nor '--from'")
    if not delete and (force or yes):
        raise UsageError(f"'{'--force' if force else '--yes'}' needs '--delete'")
    if delete:
        _delete(invocation, name, force=force, yes=yes)
        return
    from dbx.ops.checkout import checkout

    with session(invocation) as opened:
        updated = False
        is_new = name not in opened.repository.domain_names()
        if has_remote and is_new and (create or source is not None):
            if not url:
                raise UsageError("a new domain has no remote yet", hint="say where it is with '--remote URL'")
            from dbx.ops.remote import check_new

            check_new(opened, url, token=token, remote_domain=remote_domain, start=invocation.start_dir)
        elif has_remote and not is_new and source is None:  # what may be refused comes first
            updated = _configure(invocation, opened, name, url, remote_domain, token)
        done = checkout(opened, name, create=create, source=source)
        if has_remote and is_new:
            updated = _configure(invocation, opened, name, url, remote_domain, token)
    lines = _lines(done, create=create)
    if updated:
        lines.append(f"Updated remote configuration for domain '{name}'.")
    emit(invocation, {**done._asdict(), **({"remote_updated": updated} if has_remote else {})}, lines)
    forced = invocation.environment.get("DBX_DOMAIN")
    if forced and forced != name:
        note(invocation, f"DBX_DOMAIN says '{forced}', and goes before the domain that is checked out")


def _name(positional: str | None) -> str:
    options = click.get_current_context().find_object(Options)
    option = options.domain if options is not None else None
    if positional is not None and option is not None and positional != option:
        raise UsageError("conflicting domain inputs provided via -d/--domain and positional argument")
    name = positional if positional is not None else option
    if name is None:
        raise UsageError("'dbx checkout' needs the name of a domain", hint="see them with 'dbx domain list'")
    return name


def _configure(
    invocation: Invocation, opened: Session, name: str, url: str | None, remote_domain: str | None, token: str | None
) -> bool:
    from dbx.ops.remote import configure

    domain = opened.repository.domain(name)
    return configure(opened, domain, url=url, token=token, remote_domain=remote_domain, start=invocation.start_dir)


def _delete(invocation: Invocation, name: str, *, force: bool, yes: bool) -> None:
    from dbx.ops.checkout import delete, find_doomed

    with session(invocation) as opened:
        doomed = find_doomed(opened, name)
        params.confirm(invocation, _consequence(doomed), yes=yes or force)
        delete(opened, name, force=force)
    emit(
        invocation,
        {**doomed._asdict(), "deleted": True},
        [f"Deleted domain '{name}' (data directory: {escape(doomed.path)})."],
    )


def _consequence(doomed: Doomed) -> str:
    if doomed.events is None:
        return f"this deletes domain '{doomed.domain}', which is damaged, so that its events cannot be counted"
    what = f"{doomed.events} events in {doomed.commits} commits"
    if doomed.staged:
        what += f", and {doomed.staged} staged events"
    return f"this deletes domain '{doomed.domain}' with {what}, for good"


def _lines(done: CheckedOut, *, create: bool) -> list[str]:
    where = f"(data directory: {escape(done.path)})."
    lines = []
    if done.source is not None:
        count = 0 if done.seq is None else done.seq + 1
        lines.append(f"Created domain '{done.domain}' from '{done.source}' with {count} commits {where}")
    elif done.created:
        lines.append(f"Created domain '{done.domain}' {where}")
    elif create:
        lines.append(f"Domain '{done.domain}' already exists {where}")
    if done.switched:
        lines.append(f"Switched to domain '{done.domain}' {where}")
    else:
        lines.append(f"Domain '{done.domain}' is already active {where}")
    return lines
