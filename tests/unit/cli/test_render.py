import io
import json

import pytest

from dbx.cli import render
from dbx.cli.context import Invocation, Options
from dbx.errors import Failure


def invocation(*, as_json: bool = False, quiet: bool = False, **environment: str) -> Invocation:
    options = Options()
    options.json, options.quiet = as_json, quiet
    return Invocation(options, environment)


def test_pairs_are_one_line_that_cannot_be_forged() -> None:
    line = render.pairs(
        {"type": "order", "n": 3, "ok": True, "none": None, "note": "x\nversion=9", "who": "a b=1", "o": {"k": "é"}}
    )
    assert line == 'type=order n=3 ok=true none=- note=x\\nversion=9 who="a b=1" o={"k":"é"}'
    assert render.pairs([("a", ""), ("b", '"q"')]) == 'a="" b="\\"q\\""'


def test_fields_stand_bare_on_lines_of_their_own() -> None:
    assert render.fields({"note": "two words\x1b", "payload": {"a": [1, None]}}) == [
        "note=two words\\u001b",
        'payload={"a":[1,null]}',
    ]


def test_tables_are_aligned() -> None:
    rows = [("orders", 12, None), ("a", 3456, "x")]
    assert render.table(rows, ("DOMAIN", "EVENTS", "TAG"), right=frozenset({1})) == [
        "DOMAIN  EVENTS  TAG",
        "orders      12  -",
        "a         3456  x",
    ]
    assert render.table([]) == []
    assert render.table([], ("A", "B")) == ["A  B"]


def test_json_keeps_order_and_escapes_what_steers_terminals() -> None:
    value = {"b": "\x9b\u202eé\n", "a": 1}
    assert render.json_text(value) == '{"b":"\\u009b\\u202eé\\n","a":1}'
    assert json.loads(render.json_text(value)) == json.loads(render.json_text(value, pretty=True)) == value
    assert render.json_text(value, pretty=True).startswith('{\n  "b": ')
    with pytest.raises(ValueError, match="JSON"):
        render.json_text(float("nan"))


def test_emit(capsys: pytest.CaptureFixture[str]) -> None:
    render.emit(invocation(), {"a": 1}, ["one", "two"])
    render.emit(invocation(as_json=True), {"a": 1}, ["one", "two"])
    assert capsys.readouterr().out == 'one\ntwo\n{"a":1}\n'


@pytest.mark.parametrize("documents", [[], [{"n": 1}], [{"n": 1}, {"n": 2}, {"n": 3}]])
def test_streams_are_one_array_or_json_lines_or_text(
    capsys: pytest.CaptureFixture[str], documents: list[dict[str, int]]
) -> None:
    def line(document: dict[str, int]) -> str:
        return f"n={document['n']}"

    assert render.emit_stream(invocation(as_json=True), iter(documents), line, empty="none") == len(documents)
    assert json.loads(capsys.readouterr().out) == documents
    for as_json in (True, False):
        render.emit_stream(invocation(as_json=as_json), iter(documents), line, jsonl=True, empty="none")
        assert [json.loads(text) for text in capsys.readouterr().out.splitlines()] == documents
    render.emit_stream(invocation(), iter(documents), line, empty="none")
    assert capsys.readouterr().out.splitlines() == ([line(d) for d in documents] or ["none"])


def test_notes_and_hints_are_quiet_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        render.note(invocation(quiet=quiet), "a\nb")
        render.hint(invocation(quiet=quiet), "run 'dbx push'")
        render.warn("mind")
    assert capsys.readouterr() == (
        "",
        "dbx: a\\nb\ndbx: hint: run 'dbx push'\ndbx: warning: mind\ndbx: warning: mind\n",
    )


def test_colours_need_a_terminal() -> None:
    plain = invocation()
    plain.colour = False
    assert render.paint(plain, "x", "red") == "x"
    plain.colour = True
    assert render.paint(plain, "x", "red") == "\x1b[31mx\x1b[0m"


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_a_failure_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", FullDisk())
    for attempt in (lambda: render.write("x"), render.flush):
        with pytest.raises(Failure, match="cannot write the output: no space left on device"):
            attempt()
