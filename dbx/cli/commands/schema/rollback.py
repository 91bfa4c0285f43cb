"""Go back to the version before the one in force, by publishing what it says once more."""

from __future__ import annotations

from typing import Any

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.restoring import restore_options, restore_version


@define()
@restore_options("the one before")
@pass_invocation
def command(invocation: Invocation, /, **given: Any) -> None:
    restore_version(invocation, rolls_back=True, **given)
