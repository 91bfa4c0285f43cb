"""List the attestations of the domain, oldest first."""

from __future__ import annotations

from dbx.cli.attestation import attested_value
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, table
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.attest import list_all

    with session(invocation) as opened:
        found = list_all(opened)
    rows = [
        (
            one.attested.found.time[:19],
            one.attested.found.result,
            f"{one.attested.found.group}:{one.attested.found.user}",
            one.attested.found.commits,
            one.attested.found.events,
            ", ".join(key.name for key in one.attested.signers) or "nobody known",
        )
        for one in found
    ]
    lines = table(rows, ("TIME", "RESULT", "VERIFIER", "COMMITS", "EVENTS", "SIGNED BY"), right=frozenset((3, 4)))
    emit(
        invocation,
        [attested_value(one.attested, one.path) for one in found],
        lines if rows else ["no attestations"],
    )
