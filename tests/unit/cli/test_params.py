from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import pytest

from dbx.cli import params
from dbx.cli.context import Invocation, Options
from dbx.errors import DbxError, Failure, Invalid, UsageError


def convert(kind: click.ParamType[Any], value: str) -> Any:
    return kind.convert(value, None, None)


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("kind", "good", "stored", "bad"),
    [
        (params.DOMAIN, "orders-2", "orders-2", "Orders"),
        (params.TYPE, "order", "order", "order-line"),
        (params.ID, "urn:a/b@c", "urn:a/b@c", "-x"),
        (params.EVENT_TYPE, "order.placed", "order_placed", "placed!"),
    ],
)
def test_names_against_their_grammar_are_invalid(kind: click.ParamType[str], good: str, stored: str, bad: str) -> None:
    assert convert(kind, good) == stored
    for name in (bad, "", "a\nb"):
        with pytest.raises(Invalid):
            convert(kind, name)


def test_a_ref_is_not_empty() -> None:
    assert convert(params.REF, "HEAD~2") == "HEAD~2"
    with pytest.raises(UsageError):
        convert(params.REF, "")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("total=49.50", ("total", "49.50")),
        (" a = b=c ", ("a", "b=c")),
        ("a=", ("a", "")),
        ("n:=42", ("n", 42)),
        ("ok:= true", ("ok", True)),
        ("nothing:=null", ("nothing", None)),
        ('o:={"k":"a=b"}', ("o", {"k": "a=b"})),
        ("url=http://x?a:=b", ("url", "http://x?a:=b")),
    ],
)
def test_fields(text: str, field: tuple[str, object]) -> None:
    assert convert(params.FIELD, text) == field


@pytest.mark.parametrize("text", ["total", "=x", ":=1", " =x", ""])
def test_fields_wrongly_written_are_usage(text: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        convert(params.FIELD, text)


@pytest.mark.parametrize("text", ["n:=", "n:=NaN", "n:=01", 'n:={"a":1,"a":2}'])
def test_json_in_fields_is_strict(text: str) -> None:
    with pytest.raises(Invalid):
        convert(params.FIELD, text)


def test_a_repeated_field_keeps_its_last_value() -> None:
    assert params.fields_of((("a", "1"), ("b", 2), ("a", "3"))) == {"a": "3", "b": 2}


def test_json_comes_from_the_argument_a_file_or_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = params.Json("payload", 100)
    file = tmp_path / "p.json"
    file.write_text('{"a": "é"}\n', encoding="utf-8")
    feed(monkeypatch, b'{"a":2}')
    assert convert(kind, '{"a": 1.0}') == {"a": 1}
    assert convert(kind, f"@{file}") == {"a": "é"}
    assert convert(kind, "-") == {"a": 2}


def test_json_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = params.Json("payload", 10)
    assert convert(kind, '"12345678"') == "12345678"
    file = tmp_path / "p.json"
    file.write_text('"123456789"')
    feed(monkeypatch, b'"123456789"')
    for value in ('"123456789"', f"@{file}", "-", "@/dev/zero"):
        with pytest.raises(Invalid, match="the payload has more than 10 bytes"):
            convert(kind, value)


@pytest.mark.parametrize("value", ["", "{", "nope", '"\udcff"', '{"a":1,"a":2}'])
def test_json_is_strict(value: str) -> None:
    with pytest.raises(Invalid):
        convert(params.Json("payload", 100), value)


def test_stdin_can_be_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--payload", type=params.Json("payload", 100))
    @click.option("--token", type=params.SECRET)
    def command(payload: object, token: str | None) -> tuple[object, str | None]:
        return payload, token

    feed(monkeypatch, b"secret\n")
    assert command.main(["--payload", "1", "--token", "-"], standalone_mode=False) == (1, "secret")
    feed(monkeypatch, b"1")
    with pytest.raises(UsageError, match="the payload and the token cannot both be read from standard input"):
        command.main(["--payload", "-", "--token", "-"], standalone_mode=False)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("10m", 600), ("24h", 86_400), ("2w", 1_209_600)])
def test_durations(text: str, seconds: int) -> None:
    assert convert(params.DURATION, text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 m", "-1", "1e9", "1.5h"])
def test_durations_wrongly_written_are_usage(text: str) -> None:
    with pytest.raises(UsageError):
        convert(params.DURATION, text)


def test_seconds() -> None:
    assert [convert(params.SECONDS, text) for text in ("0", "10", "0.5")] == [0.0, 10.0, 0.5]
    for text in ("", ".", "-1", "inf", "1e3", "٣"):
        with pytest.raises((click.BadParameter, UsageError)):
            convert(params.SECONDS, text)


def invocation(**environment: str) -> Invocation:
    return Invocation(Options(), environment)


def test_secrets_are_found_in_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("from-file\nsecond line\n")
    two.write_text("from-variable-file\n")
    all_set = invocation(DBX_TOKEN="from-variable", DBX_TOKEN_FILE=str(two))
    assert params.find_secret(all_set, "given", None, "DBX_TOKEN") == "given"
    assert params.find_secret(all_set, None, str(one), "DBX_TOKEN") == "from-file"
    assert params.find_secret(all_set, None, None, "DBX_TOKEN") == "from-variable"
    assert params.find_secret(invocation(DBX_TOKEN_FILE=str(two)), None, None, "DBX_TOKEN") == "from-variable-file"
    assert params.find_secret(invocation(), None, None, "DBX_TOKEN") is None
    with pytest.raises(UsageError):
        params.find_secret(all_set, "given", str(one), "DBX_TOKEN")


@pytest.mark.parametrize("data", [b"", b"\n", b"  \nx", b"\xff\n", b"x" * 70_000])
def test_what_cannot_be_a_secret_is_refused_without_showing_it(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(data)
    with pytest.raises(DbxError) as refused:
        params.read_secret_file(str(file))
    assert refused.value.status in (2, 5)
    assert "xx" not in refused.value.message


def test_confirmation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = invocation()
    asked.stdin_tty = asked.stderr_tty = False
    params.confirm(asked, "this drops 12 staged events", yes=True)
    with pytest.raises(UsageError, match="this drops 12 staged events, and there is no terminal to ask on") as refused:
        params.confirm(asked, "this drops 12 staged events", yes=False)
    assert refused.value.hint == "say --yes if that is meant"
    asked.stdin_tty = asked.stderr_tty = True
    for answer in (b"y\n", b"YES\n"):
        feed(monkeypatch, answer)
        params.confirm(asked, "this drops 12 staged events", yes=False)
    for answer in (b"\n", b"n\n", b"", b"yep\n"):
        feed(monkeypatch, answer)
        with pytest.raises(Failure, match="nothing was done"):
            params.confirm(asked, "this drops 12 staged events", yes=False)
    assert capsys.readouterr().err == "dbx: this drops 12 staged events. Go on? [y/N] " * 6
