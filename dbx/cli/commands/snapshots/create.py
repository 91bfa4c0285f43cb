"""Take a snapshot of an aggregate."""

from __future__ import annotations

from typing import Any

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.snapshotting import snapshot_options, take_snapshot


@define()
@snapshot_options
@pass_invocation
def command(invocation: Invocation, /, **given: Any) -> None:
    take_snapshot(invocation, **given)
