"""Verify a checkpoint: who signed it, who cosigned it, and how it compares with the domain here.

Needs no repository when the key is given.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session_if_any
from dbx.errors import UsageError

_MAX_BYTES = 1 << 20
_STATES = {
    "current": "it is the newest state of domain '{}'",
    "older": "domain '{}' has grown since, and begins with it",
    "ahead": "domain '{}' lacks commits that it covers",
}


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="A key that you trust; those known here by default.")
@click.option(
    "--witness-policy",
    "witnesses",
    metavar="N",
    type=click.IntRange(min=0, max=100),
    default=0,
    help="At least N trusted witnesses must have cosigned.",
)
@click.option("--timestamp", "stamp", metavar="FILE", help="What 'dbx checkpoint timestamp' kept; needs --ca.")
@click.option("--ca", metavar="FILE", help="Certificates that vouch for the time-stamping authority.")
@click.pass_context
@pass_invocation
def command(
    invocation: Invocation,
    ctx: click.Context,
    file: str,
    keys: tuple[str, ...],
    witnesses: int,
    stamp: str | None,
    ca: str | None,
) -> None:
    from dbx.model.time import format_time
    from dbx.ops.checkpoint import verify_checkpoint

    if (stamp is None) != (ca is None):
        raise UsageError("--timestamp and --ca go together")
    data = params.read_input(ctx, file, _MAX_BYTES, "the checkpoint")
    with session_if_any(invocation) as opened:
        found = verify_checkpoint(opened, data, keys, witnesses=witnesses)
    cosigned = [{"name": name, "time": format_time(time_s * 1_000_000)} for name, time_s in found.witnesses]
    document = {
        "verified": True,
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": found.checkpoint.root.hex(),
        "signers": list(found.signers),
        "witnesses": cosigned,
        "unknown_signatures": found.unknown,
        "domain": found.domain,
        "state": found.state,
        "timestamp": None if stamp is None or ca is None else _stamped(data, stamp, ca),
    }
    lines = [f"{found.checkpoint.origin}: {found.checkpoint.size} commits, root {found.checkpoint.root.hex()}"]
    lines += [f"signed by {name}" for name in found.signers]
    lines += [f"cosigned by {one['name']} at {one['time']}" for one in cosigned]
    if found.unknown:
        lines.append(f"{found.unknown} signatures of keys that are not trusted here")
    if document["timestamp"] is not None:
        lines.append(f"stamped at {document['timestamp']}")
    if found.state is not None:
        lines.append(_STATES[found.state].format(found.domain))
    emit(invocation, document, lines)


def _stamped(data: bytes, stamp: str, ca: str) -> str:
    from dbx.ops.timestamp import verify_timestamp

    return verify_timestamp(data, params.read_input(None, stamp, _MAX_BYTES, "the time stamp"), ca)
