"""The JSON shape of an attestation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbx.model.attestation import Attested


def attested_value(attested: Attested, path: str | None) -> dict[str, Any]:
    """What an attestation says, and which known keys signed it."""
    from dbx.formats.note import format_vkey

    found = attested.found
    return {
        "result": found.result,
        "origin": attested.checkpoint.origin,
        "size": attested.checkpoint.size,
        "root": attested.checkpoint.root.hex(),
        "verifier": {"group": found.group, "user": found.user},
        "verified_at": found.time,
        "tool": found.tool,
        "quick": found.quick,
        "commits": found.commits,
        "events": found.events,
        "findings": found.findings,
        "signers": [format_vkey(key) for key in attested.signers],
        "path": path,
    }
