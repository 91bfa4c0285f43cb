"""Name a commit; list or delete such names."""

from __future__ import annotations

import click

from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import SHORT
from dbx.cli.render import emit, emit_stream
from dbx.cli.session import session
from dbx.cli.shapes import tag_value
from dbx.cli.signing import prepare_key
from dbx.errors import UsageError

_LISTED = 2
_LIST, _CREATE, _DELETE = "list", "create", "delete"


@define()
@click.argument("words", nargs=-1, metavar="[NAME [REF]]", shell_complete=complete_ref)
@click.option("-m", "--message", metavar="TEXT", help="Why; one line.")
@click.option("-f", "--force", is_flag=True, help="Move a tag that exists.")
@click.option("-s", "--sign", is_flag=True, help="Make it a checkpoint, signed with the workspace's key.")
@click.option("-v", "--verify", is_flag=True, help="Verify the signatures of the tags of these names.")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="With --verify: a key that you trust.")
@click.option("-l", "--list", "listing", is_flag=True, help="List the tags that fit one of the patterns.")
@click.option("-d", "--delete", is_flag=True, help="Delete the tags of these names.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    message: str | None,
    force: bool,
    sign: bool,
    verify: bool,
    keys: tuple[str, ...],
    listing: bool,
    delete: bool,
) -> None:
    # The words of the other groups of commands, 'dbx remote list' and so on; git's options mean the same.
    if not listing and not delete and words[:1] in ((_LIST,), (_CREATE,), (_DELETE,)):
        listing, delete, words = words[0] == _LIST, words[0] == _DELETE, words[1:]
        if not words and not listing:
            raise UsageError("'dbx tag' needs the name of a tag", hint="run 'dbx tag --help'")
    chosen = [option for given, option in ((listing, "--list"), (delete, "--delete"), (verify, "--verify")) if given]
    if len(chosen) > 1:
        raise UsageError(f"{chosen[0]} cannot be used together with {chosen[1]}")
    if keys and not verify:
        raise UsageError("--key needs --verify")
    making = ((message is not None, "--message"), (force, "--force"), (sign, "--sign"))
    if (delete or verify) and not words:
        raise UsageError(f"{chosen[0]} needs the name of a tag")
    if listing or not words:
        _refuse(making, "listing tags")
        _list(invocation, words)
    elif delete:
        _refuse(making, "--delete")
        _delete(invocation, words)
    elif verify:
        _refuse(making, "--verify")
        _verify(invocation, words, keys)
    else:
        _create(invocation, words, message, force=force, sign=sign)


def _refuse(making: tuple[tuple[bool, str], ...], what: str) -> None:
    for given, option in making:
        if given:
            raise UsageError(f"{option} needs the name of a tag to make; it does not go with {what}")


def _list(invocation: Invocation, patterns: tuple[str, ...]) -> None:
    from dbx.ops.tag import list_tags

    with session(invocation) as opened:
        found = list_tags(opened, patterns)
    if invocation.json:
        emit(invocation, [tag_value(tag) for tag in found], [])
    else:
        emit_stream(invocation, found, lambda tag: tag.name)


def _delete(invocation: Invocation, names: tuple[str, ...]) -> None:
    from dbx.ops.tag import delete_tags

    with session(invocation) as opened:
        done = delete_tags(opened, names)
    lines = [f"deleted tag '{tag.name}' (was {tag.commit_id[:SHORT]})" for tag in done]
    emit(invocation, [tag_value(tag) for tag in done], lines)


def _verify(invocation: Invocation, names: tuple[str, ...], keys: tuple[str, ...]) -> None:
    from dbx.ops.tag import verify_tag

    with session(invocation) as opened:
        done = [verify_tag(opened, name, keys) for name in names]
    lines = [f"tag '{tag.name}' is {tag.commit_id[:SHORT]}, signed by {', '.join(signers)}" for tag, signers in done]
    emit(invocation, [{**tag_value(tag), "signers": list(signers)} for tag, signers in done], lines)


def _create(invocation: Invocation, words: tuple[str, ...], message: str | None, *, force: bool, sign: bool) -> None:
    from dbx.ops.tag import create_tag

    if len(words) > _LISTED:
        raise UsageError(f"unexpected argument '{words[_LISTED]}' for 'dbx tag'", hint="run 'dbx tag --help'")
    with session(invocation) as opened:
        if sign:
            prepare_key(invocation, opened)
        made, old = create_tag(opened, words[0], *words[1:], message=message, force=force, sign=sign)
    was = "" if old is None else f" (was {old.commit_id[:SHORT]})"
    how = ", signed" if made.signed else ""
    emit(invocation, tag_value(made), [f"tag '{made.name}' is {made.commit_id[:SHORT]}{how}{was}"])
