import errno
import json
import os
from pathlib import Path

import pytest

from dbx.cli.report import OutputClosed, conclude, explain, tell, wants_json
from dbx.errors import Conflict
from dbx.model.place import fault_at


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "x", "/r/journal"), "cannot write '/r/journal': no space left on device"),
        (OSError(errno.EDQUOT, "x", "/r/journal"), "cannot write '/r/journal': disk quota exceeded"),
        (OSError(errno.EROFS, "x", b"/r/journal"), "cannot write '/r/journal': read-only file system"),
        (OSError(errno.EACCES, "x", "/r/HEAD"), "cannot open '/r/HEAD': permission denied"),
        (OSError(errno.EMFILE, "x", "/r/HEAD"), "cannot open '/r/HEAD': too many open files"),
        (OSError(errno.ENOENT, "x", "/r/HEAD"), "cannot open '/r/HEAD': no such file or directory"),
        (OSError(errno.EIO, "x", "/r/HEAD"), "cannot read or write '/r/HEAD': input/output error"),
        (OSError(errno.EIO, "x"), "the system refused: input/output error"),
        (OSError(errno.EXDEV, "x", "/a", None, "/b"), "cannot put '/a' at '/b': invalid cross-device link"),
        (OSError("no number."), "the system refused: no number"),
        (OSError(), "the system refused: OSError"),
    ],
)
def test_what_the_system_refuses_is_one_sentence_with_the_file(error: OSError, message: str) -> None:
    told = explain(error)
    assert (told.message, told.status) == (message, 1)


def test_real_errors_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError) as missing:
        os.rename(tmp_path / "a", tmp_path / "b")
    told = explain(missing.value)
    assert told.message == f"cannot put '{tmp_path}/a' at '{tmp_path}/b': no such file or directory"
    assert told.details == {"errno": "ENOENT", "path": f"{tmp_path}/a"}


def test_a_bug_names_its_place_and_never_the_values() -> None:
    try:
        {}["secret payload"]
    except KeyError as error:
        told = explain(error)
    assert told.status == 70
    assert told.message.startswith("internal error: KeyError in test_report.py, line ")
    assert "secret" not in told.message
    assert explain(MemoryError()).message == "internal error: out of memory"
    assert explain(RecursionError()).status == 70
    assert explain(KeyboardInterrupt()).status == 130


def test_errors_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    error = Conflict("cannot push 'orders\n'", hint="run 'dbx pull'", details={"commits": 3, "at": b"\xff"})
    tell(error, as_json=False)
    assert capsys.readouterr() == ("", "dbx: error: cannot push 'orders\\n'\ndbx: hint: run 'dbx pull'\n")
    tell(error, as_json=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line) == {
        "error": {
            "type": "conflict",
            "status": 4,
            "message": "cannot push 'orders\n'",
            "hint": "run 'dbx pull'",
            "details": {"commits": 3, "at": "b'\\xff'"},
        }
    }


def test_statuses(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert conclude(OutputClosed(), []) == 0
    assert conclude(SystemExit(3), []) == 3
    assert capsys.readouterr().err == ""
    assert conclude(ZeroDivisionError(), ["--json"]) == 70
    assert json.loads(capsys.readouterr().err)["error"]["type"] == "internal"
    monkeypatch.setenv("DBX_DEBUG", "1")
    assert conclude(ZeroDivisionError("visible"), []) == 70
    assert "ZeroDivisionError: visible" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [([], False), (["x", "--json"], True), (["--jsonl"], True), (["x", "--", "--json"], False), (["--json=1"], False)],
)
def test_json_is_looked_for_in_the_arguments(arguments: list[str], wanted: bool) -> None:
    assert wants_json(arguments) is wanted


def test_a_place_is_shown_with_a_caret_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell(fault_at("invalid filter", "a = \x1b", 4, "no value", hint="write one"), as_json=False)
    assert capsys.readouterr().err == (
        "dbx: error: invalid filter: no value at column 5\n  a = �\n      ^\ndbx: hint: write one\n"
    )
