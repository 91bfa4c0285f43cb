"""Show the version of dbx, of the on-disk format and of Python."""

from __future__ import annotations

import sys

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.version import __version__

FORMAT = 1


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    python = ".".join(str(part) for part in sys.version_info[:3])
    emit(invocation, {"version": __version__, "format": FORMAT, "python": python}, [f"dbx {__version__}"])
