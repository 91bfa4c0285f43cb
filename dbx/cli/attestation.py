"""The JSON shape of an attestation, and what a certificate of redaction shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbx.model.attestation import Attested
    from dbx.model.redaction import Certified


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


def certified_value(found: Certified) -> dict[str, Any]:
    """What a certificate of redaction says, and which known keys signed it."""
    from dbx.formats.note import format_vkey

    return {"kind": "redaction", **found.said, "signers": [format_vkey(key) for key in found.signers]}


def certified_lines(found: Certified) -> list[str]:
    """The same for people."""
    from dbx.cli.text import escape

    lines = [f"bodies of {len(found.subjects)} events of domain {escape(str(found.said['domain']['id']))} were erased"]
    lines += [f"  {escape(name)}, body {digest}" for name, digest in found.subjects]
    return [*lines, *(f"signed by {key.name}" for key in found.signers)]
