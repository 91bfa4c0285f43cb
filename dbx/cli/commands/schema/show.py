"""Show a schema as it is enforced, or a published version."""

from __future__ import annotations

from dbx.cli.schemashow import make_command

command = make_command(__doc__ or "")
