"""Put a published version in force again, by publishing what it says once more."""

from __future__ import annotations

from typing import Any

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.restoring import restore_options, restore_version


@define()
@restore_options("latest")
@pass_invocation
def command(invocation: Invocation, /, **given: Any) -> None:
    restore_version(invocation, rolls_back=False, **given)
