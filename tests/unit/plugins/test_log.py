"""Lines of text, one for each part, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.model.plugin import LogConfig
from dbx.plugins.log import LogSink
from tests.unit.plugins.surroundings import around, delivery

HEAD = "2026-11-23T07:42:00.123456Z INFO audit: "


def test_a_line_for_each_part() -> None:
    said: list[str] = []
    target = LogSink("audit", LogConfig(), around(said=said))
    target.check()
    assert target.deliver(delivery(parts={"event": {"payload": {"n": 1}}, "state": {"state": {}}, "schema": {}})).ok
    assert said == [
        f'{HEAD}aggregate=order id=o-1 event=placed payload={{"n":1}}',
        f"{HEAD}aggregate=order id=o-1 state={{}}",
        f"{HEAD}schema=order payload={{}}",
    ]


def test_a_template_makes_the_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    config = LogConfig("warn", "{aggregate}/{id} {event} v{version} {payload}", str(path))
    target = LogSink("audit", config, around())
    for n in range(2):
        target.deliver(delivery(n, parts={"event": {"payload": {"{id}": "{event}"}}}))
    assert (
        path.read_text().splitlines()
        == ['2026-11-23T07:42:00.123456Z WARN audit: order/o-1 placed v1 {"{id}":"{event}"}'] * 2
    )
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2J", "a\u2028b", "a\rb", "\u202e"])
def test_nothing_begins_another_line(text: str) -> None:
    said: list[str] = []
    LogSink("audit", LogConfig("info", f"{text}{{id}}"), around(said=said)).deliver(delivery(aggregate_id="o-1"))
    assert all(line.isprintable() for line in said)
    assert "\\" in said[0]


@pytest.mark.parametrize("kind", ["directory", "link", "missing"])
def test_a_file_that_cannot_be_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "other")
    else:
        path = tmp_path / "no" / "log"
    target = LogSink("audit", LogConfig(file=str(path)), around())
    assert not target.deliver(delivery()).ok
    with pytest.raises(RemoteFailure):
        target.check()


def test_a_full_disk() -> None:
    outcome = LogSink("audit", LogConfig(file="/dev/full"), around()).deliver(delivery())
    assert not outcome.ok
