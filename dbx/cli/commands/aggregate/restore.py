"""Restore an archived aggregate: it takes events again."""

from __future__ import annotations

from typing import Any

from dbx.cli.archiving import archive_options, set_archived
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define


@define()
@archive_options
@pass_invocation
def command(invocation: Invocation, /, words: tuple[str, ...], **given: Any) -> None:
    set_archived(invocation, words, archived=False, **given)
