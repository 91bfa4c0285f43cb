"""Replace the key that the workspace signs with; with --dek or --data, a key that it seals with.

The old signing key signs that the new one takes over, and is kept: what it signed in its time is still believed.
--dek wraps the data keys with a new DEK and rewrites nothing else; --data seals with a new data key from now on.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.signing import prepare_key
from dbx.errors import UsageError

_DRAWN = "\0"


@define()
@click.option(
    "--dek",
    metavar="[BASE64|-]",
    is_flag=False,
    flag_value=_DRAWN,
    type=params.SECRET,
    help="Replace the DEK, by a random one where none is given.",
)
@click.option("--dek-file", metavar="FILE", help="Replace the DEK by the one in the first line of FILE.")
@click.option("--data", is_flag=True, help="Begin a new data key.")
@pass_invocation
def command(invocation: Invocation, dek: str | None, dek_file: str | None, data: bool) -> None:
    if data and (dek is not None or dek_file is not None):
        raise UsageError("give --dek or --data, not both")
    if dek is not None or dek_file is not None:
        _rotate_dek(invocation, dek, dek_file)
    elif data:
        _rotate_data_key(invocation)
    else:
        _rotate_signing_key(invocation)


def _rotate_signing_key(invocation: Invocation) -> None:
    from dbx.formats.note import format_vkey
    from dbx.ops.key import rotate_key

    with session(invocation) as opened:
        prepare_key(invocation, opened)
        old, new = rotate_key(opened)
    emit(invocation, {"old": format_vkey(old), "new": format_vkey(new)}, [format_vkey(new)])


def _rotate_dek(invocation: Invocation, dek: str | None, dek_file: str | None) -> None:
    from dbx.ops.sealing import parse_dek, rotate_dek

    given = None if dek == _DRAWN else dek
    text = params.read_secret_file(dek_file) if dek_file is not None and given is None else given
    if dek_file is not None and given is not None:
        raise UsageError("give the DEK or the file that holds it, not both")
    with session(invocation) as opened:
        done = rotate_dek(opened, None if text is None else parse_dek(text))
    keys = "1 data key" if done.keys == 1 else f"{done.keys} data keys"
    where = "the new DEK is stored" if done.stored else "the new DEK is not stored"
    emit(invocation, done._asdict(), [f"wrapped {keys} anew; {where}"])


def _rotate_data_key(invocation: Invocation) -> None:
    from dbx.ops.sealing import rotate_data_key

    with session(invocation) as opened:
        key = rotate_data_key(opened)
    emit(invocation, key._asdict(), [f"seals with data key '{key.key_id}' from now on"])
