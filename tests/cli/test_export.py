"""`dbx export tiles`."""

from __future__ import annotations

from tests.cli.conftest import Runner
from tests.history import fill


def test_tiles(run: Runner) -> None:
    run.ok("init")
    assert run("export", "tiles", "out").status == 10
    run.ok("key", "generate")
    assert run("export", "tiles", "out").status == 3
    fill(run.cwd, 3)
    assert run.ok("export", "tiles", "out").stdout.startswith("exported 3 commits of 3: 3 files")
    assert (run.cwd / "out" / "tile" / "entries" / "000.p" / "3").is_file()
    fill(run.cwd, 2)
    found = run.ok("export", "tiles", "out", "--json").json
    assert (found["before"], found["size"]) == (3, 5)
    assert run.ok("checkpoint", "verify", "out/checkpoint", "--json").json["state"] == "current"
    run.ok("checkout", "-c", "other")
    fill(run.cwd, 1)
    refused = run("export", "tiles", "out", "--json")
    assert refused.status == 5
    assert run("export", "tiles", ".").status == 5
    assert run("export").status == 2
