"""The command line of `make bench`: every part in turn, a table for people, JSON for machines."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Any, Protocol

from tests.bench import parts
from tests.bench.figures import Figure, format_figure
from tests.bench.harness import CHECKOUT, Bench, Failed, bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Part(Protocol):
    """A module in `parts/`. Its docstring's first line is the heading."""

    __doc__: str

    def measure(self, bench: Bench) -> Iterator[Figure]:
        """Measure, and yield each figure when it is known."""


def names() -> list[str]:
    """Every part, by the names of their files."""
    return sorted(found.name for found in pkgutil.iter_modules(parts.__path__))


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when something could not be measured; a goal that is missed is printed, and no failure."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure dbx beside references, in the same run.")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds instead of minutes, and rough")
    parser.add_argument("--only", action="append", choices=names(), metavar="NAME", help=f"one of {', '.join(names())}")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the directory goes away
    about = _about()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    found: dict[str, list[dict[str, Any]]] = {}
    failed: list[str] = []
    with bench(quick=options.quick) as tools:
        for name in options.only or names():
            part: Part = importlib.import_module(f"{parts.__name__}.{name}")
            print(f"\n{name}: {part.__doc__.splitlines()[0]}", flush=True)
            found[name] = []
            try:
                for figure in part.measure(tools):
                    found[name].append(figure.json())
                    print(format_figure(figure), flush=True)
            except Failed as error:
                failed.append(name)
                print(f"  could not be measured: {error}", flush=True)
    missed = [f"{name}: {one['name']}" for name, figures in found.items() for one in figures if one["met"] is False]
    if options.quick:
        print("\nthese sizes are too small to judge by: starting up is most of the time")
    print("\nevery goal is met" if not missed + failed else "\nnot met: " + "; ".join([*missed, *failed]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"about": about, "quick": options.quick, "parts": found, "failed": failed}, file, indent=2)
            file.write("\n")
    return 1 if failed else 0


def _about() -> dict[str, str]:
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass  # not Linux: the architecture will do
    return {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": model,
        "checkout": str(CHECKOUT),
    }


if __name__ == "__main__":
    sys.exit(main())
