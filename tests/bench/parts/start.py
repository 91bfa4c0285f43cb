"""how long one command takes, beside the same interpreter doing nothing"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.figures import slower
from tests.bench.harness import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Figure
    from tests.bench.harness import Bench


def measure(bench: Bench) -> Iterator[Figure]:
    """The version, and staging one event."""
    where = bench.fresh_repository("start")
    stage = ("aggregate", "apply", "order", "o-1", "order_placed", "--stage", "--create", "--field", "a=b")

    def seconds(*command: str) -> float:
        return bench.run(*command, cwd=where, settle=False).seconds

    runs = {
        "pass": lambda: seconds(bench.python, "-c", "pass"),
        "version": lambda: seconds(bench.dbx_path, "--version"),
        "stage": lambda: seconds(bench.dbx_path, *stage),
    }
    in_turn(3, runs)  # writes the .pyc files, and fills the disk cache
    took = in_turn(10 if bench.quick else 60, runs)
    yield slower("dbx --version", took["version"], took["pass"], beside="python -c pass", most=4)
    yield slower("dbx aggregate apply --stage", took["stage"], took["pass"], beside="python -c pass", most=6)
