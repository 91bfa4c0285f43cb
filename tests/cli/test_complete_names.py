"""What the shell is offered: domains, types, ids, refs; and that asking neither writes nor speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.ops.complete import candidates
from tests.cli.conftest import Runner
from tests.history import fill, stage_events


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 12)
    run.ok("checkout", "-c", "orders")
    run.ok("checkout", "default")
    return run


def ask(run: Runner, words: str) -> list[str]:
    count = len(words.split(" ")) - 1
    outcome = run.ok(env={"_DBX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)})
    assert outcome.stderr == ""
    return [line.partition(",")[2] for line in outcome.lines if line.startswith("plain,")]


def test_the_shell_is_answered(shop: Runner) -> None:
    assert ask(shop, "dbx checkout ") == ["default", "orders"]
    assert ask(shop, "dbx checkout or") == ["orders"]
    assert ask(shop, "dbx -d de") == ["default"]
    assert ask(shop, "dbx root def") == ["default"]
    assert ask(shop, "dbx root default@") == ["default@HEAD"]
    assert ask(shop, "dbx root @H") == ["@HEAD"]
    assert ask(shop, "dbx diff HE") == ["HEAD"]
    assert ask(shop, "dbx diff HEAD o") == ["orders"]
    assert ask(shop, "dbx config user.") == ["user.group", "user.name"]


def test_plugins_and_their_words(shop: Runner) -> None:
    shop.ok("plugin", "config", "log", "--name", "audit")
    assert ask(shop, "dbx plugin replay ") == ["audit"]
    assert ask(shop, "dbx plugin replay audit ") == ["order"]
    assert ask(shop, "dbx plugin replay audit order o-1") == ["o-1", "o-10", "o-11"]
    assert ask(shop, "dbx plugin replay audit --aggregate o") == ["order"]
    assert ask(shop, "dbx plugin replay audit --aggregate order --aggregate-id o-11") == ["o-11"]
    assert ask(shop, "dbx plugin replay audit order --payload-mode event-") == ["event-only", "event-and-schema"]
    assert ask(shop, "dbx plugin config log --level w") == ["warn"]
    assert ask(shop, "dbx plugin config http --format c") == ["cloudevents"]
    assert ask(shop, "dbx plugin config tcp --on-dead h") == ["hold"]


def test_fields_to_sort_by(shop: Runner) -> None:
    assert ask(shop, "dbx aggregate list --sort up") == ["updated_at"]
    assert ask(shop, "dbx aggregate list --sort version,agg") == ["version,aggregate_type", "version,aggregate_id"]
    assert ask(shop, "dbx events --sort event") == ["event_type", "event_id"]


def test_names_of_every_kind(shop: Runner) -> None:
    here = str(shop.cwd)
    stage_events(shop.cwd)
    assert candidates(here, None, "domain", "o") == ["orders"]
    assert candidates(here, None, "type", "") == ["order"]
    assert candidates(here, None, "id", "o-1", "order") == ["o-1", "o-10", "o-11"]
    assert candidates(here, None, "id", "st", "order") == ["staged"]
    assert candidates(here, None, "id", "o-1") == []
    assert candidates(here, "orders", "type", "") == []
    commit = shop.ok("root", "--json").json["commit"]
    assert candidates(here, None, "ref", commit[:6]) == [commit]
    assert candidates(f"{here}/.dbx", None, "domain", "") == ["default", "orders"]


def test_asking_writes_nothing(shop: Runner) -> None:
    path = Path(shop.cwd, ".dbx/domains/default")
    for index in path.glob("index.db*"):
        index.unlink()
    before = sorted(path.rglob("*"))
    for kind in ("domain", "type", "id", "ref", "source"):
        candidates(str(shop.cwd), None, kind, "", "order")
    assert sorted(path.rglob("*")) == before


def test_whatever_is_wrong_nothing_is_said(shop: Runner) -> None:
    here = str(shop.cwd)
    assert candidates("/", None, "domain", "") == []
    assert candidates(here, "nothing", "type", "") == []
    assert candidates(here, None, "nonsense", "") == []
    assert candidates(here, None, "type", "\udcff") == []
    assert candidates(here, None, "source", "nothing@") == []
    Path(here, ".dbx/domains/default/index.db").write_bytes(b"garbage " * 4096)
    assert candidates(here, None, "id", "", "order") == []
    assert Path(here, ".dbx/domains/default/index.db").read_bytes() == b"garbage " * 4096
    Path(here, ".dbx/HEAD").write_text("nonsense")
    assert ask(shop, "dbx root @") == []
