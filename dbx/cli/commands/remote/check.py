"""Reach a remote, and see how its history stands to ours."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import access, reach_options, remote_argument
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape

_WORDS = {
    "same": "has the same history",
    "ahead": "has commits that we lack",
    "behind": "lacks commits of ours",
    "diverged": "has diverged: both sides have commits of their own",
}


@define()
@remote_argument
@reach_options
@pass_invocation
def command(invocation: Invocation, remote: str | None, token: str | None, token_file: str | None) -> None:
    from dbx.ops.remote import check_remote

    with session(invocation) as opened:
        found = check_remote(opened, remote, access(invocation, token, token_file))
    head = None if found.head is None else {"id": found.head, "seq": found.seq}
    document = {
        "name": found.name,
        "url": found.url,
        "domain": found.domain,
        "id": found.id,
        "head": head,
        "relation": found.relation,
    }
    at = "it is empty" if found.head is None else f"its head is commit {found.seq}, {found.head[:12]}"
    emit(
        invocation,
        document,
        [f"Remote '{found.name}' ({escape(found.url)}) answers: {at}; it {_WORDS[found.relation]}."],
    )
