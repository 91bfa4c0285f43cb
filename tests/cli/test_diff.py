"""`dbx diff`: what differs, how, and since which version."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import append, open_repository, stage_events

ROOTS = "default.roots"


@pytest.fixture
def shop(run: Runner) -> Runner:
    """default, and its fork 'other'; `all` diverges at version 4."""
    run.ok("init")
    repository = open_repository(run.cwd)
    default = repository.domain()
    for n in range(3):
        append(default, f"o-{n}", "all")
    run.ok("checkout", "other", "--from", "default", "-c")
    run.ok("checkout", "default")
    other = repository.domain("other")
    append(default, "all", "mine", "o-0")
    append(other, "all", "all", "theirs", "o-1")
    repository.close()
    return run


def make_tag(shop: Runner, name: str, ref: str) -> None:
    found = shop.ok("root", f"@{ref}", "--json").json
    path = shop.cwd / ".dbx" / "domains" / "default" / "refs" / "tags" / name
    path.write_text(f"commit {found['commit']} {found['seq']}\n")


def statuses(document: dict[str, object]) -> dict[str, str]:
    aggregates = document["aggregates"]
    assert isinstance(aggregates, list)
    return {one["aggregate_id"]: one["status"] for one in aggregates}


def test_two_domains(shop: Runner) -> None:
    done = shop.ok("diff", "default", "other")
    assert [line.split()[:2] for line in done.lines] == [
        ["diverged", "order/all"],
        ["removed", "order/mine"],
        ["behind", "order/o-0"],
        ["ahead", "order/o-1"],
        ["added", "order/theirs"],
    ]
    assert done.lines[0].endswith("v4 and v5, they part at version 4")
    assert done.lines[3].endswith("v1 -> v2")
    assert done.lines[4].endswith("v1, only in other")
    assert done.stderr == ""


def test_the_document(shop: Runner) -> None:
    document = shop.ok("diff", "default", "other", "--json").json
    assert list(document) == ["differs", "related", "common", "a", "b", "summary", "aggregates"]
    assert (document["differs"], document["related"], document["common"]["seq"]) == (True, True, 2)
    assert document["a"] | {"root": "", "domain_id": "", "commit": ""} == {
        "kind": "domain", "name": "default", "domain": "default", "domain_id": "", "commit": "", "seq": 3, "root": "",
        "signers": None,
    }  # fmt: skip
    assert document["a"]["root"] == shop.ok("root").lines[0]
    assert document["summary"] == {
        "aggregates": 5, "added": 1, "removed": 1, "ahead": 1, "behind": 1, "diverged": 1,
        "events_only_in_a": 3, "events_only_in_b": 4,
    }  # fmt: skip
    first, mine = document["aggregates"][:2]
    verified = shop.ok("aggregate", "verify", "order", "all", "--json").json
    assert first["a"] == {"version": 4, "merkle_root": verified["merkle_root"]}
    assert (first["common_version"], first["diverged_at"], first["diverged_by"], first["certain"]) == (3, 4, 4, True)
    assert (mine["status"], mine["b"], mine["common_version"], mine["diverged_at"]) == ("removed", None, 0, None)


def test_refs(shop: Runner) -> None:
    assert [line.split()[0] for line in shop.ok("diff", "HEAD~1").lines] == ["ahead", "added", "ahead"]
    assert statuses(shop.ok("diff", "HEAD", "@HEAD~1", "--json").json) == {
        "all": "behind", "mine": "removed", "o-0": "behind",
    }  # fmt: skip
    assert shop.ok("diff", "HEAD~2", "default@HEAD~2").stdout == ""
    for spelled in ("HEAD~1..HEAD", "HEAD~1..", "default@HEAD~1..default"):
        assert shop.ok("diff", spelled, "--name-only").stdout == shop.ok("diff", "HEAD~1", "--name-only").stdout
    assert shop.ok("diff", "..other").lines == shop.ok("diff", "HEAD", "other").lines
    assert len(shop.ok("diff", "HEAD~1", "other@HEAD~1").lines) == 0
    assert statuses(shop.ok("-d", "other", "diff", "HEAD~1", "--json").json) == {
        "all": "ahead", "o-1": "ahead", "theirs": "added",
    }  # fmt: skip
    make_tag(shop, "before", "HEAD~1")
    assert shop.ok("diff", "before").stdout == shop.ok("diff", "HEAD~1").stdout


def test_nothing_differs(shop: Runner) -> None:
    done = shop.ok("diff", "HEAD", "default", "--exit-code")
    assert (done.stdout, done.stderr) == ("", "dbx: no differences\n")
    assert shop.ok("diff", "HEAD", "--quiet").stderr == ""
    assert shop.ok("diff", "HEAD", "HEAD", "--json").json["differs"] is False
    assert shop("diff", "default", "other", "--exit-code").status == 1
    assert shop("diff", "default", "other", "--exit-code", "--json").json["differs"] is True


def test_what_is_staged(shop: Runner) -> None:
    assert shop.ok("diff").stdout == ""
    stage_events(shop.cwd, 2)
    shop.ok("aggregate", "apply", "order", "all", "placed", "--stage", "--field", "a=b")
    assert shop.ok("diff").lines == ["ahead     order/all     v4 -> v5", "added     order/staged  v2, only in staged"]
    patch = shop.ok("diff", "-p").lines
    assert patch[1].startswith("+ v5 placed ")
    assert patch[1].endswith(' {"a":"b"}')
    document = shop.ok("diff", "--json", "-p").json
    assert document["b"]["kind"] == "staged"
    assert [len(one["events"]["b"]) for one in document["aggregates"]] == [1, 2]
    staged = document["aggregates"][0]["b"]
    shop.ok("commit")
    assert shop.ok("aggregate", "get", "order", "all", "--json").json["merkle_root"] == staged["merkle_root"]


def test_the_events_behind_the_differences(shop: Runner) -> None:
    lines = shop.ok("diff", "default", "other", "-p").lines
    assert [line.split()[:2] for line in lines if line[0] in "+-"] == [
        ["-", "v4"], ["+", "v4"], ["+", "v5"], ["-", "v1"], ["-", "v2"], ["+", "v2"], ["+", "v1"],
    ]  # fmt: skip
    events = shop.ok("diff", "default", "other", "-p", "--json").json["aggregates"][0]["events"]
    assert [e["version"] for e in events["b"]] == [4, 5]
    assert events["a"] == shop.ok("events", "order", "all", "--json", "--take", "100").json[3:]


def test_in_short(shop: Runner) -> None:
    assert shop.ok("diff", "default", "other", "--name-only").lines == [
        "order/all", "order/mine", "order/o-0", "order/o-1", "order/theirs",
    ]  # fmt: skip
    lines = shop.ok("diff", "default", "other", "--stat").lines
    assert lines[0] == "diverged  order/all    | +2 -1"
    assert lines[-1] == (
        "5 aggregates differ: 1 added, 1 removed, 1 ahead, 1 behind, 1 diverged; "
        "events: 4 only in other, 3 only in default"
    )


def test_of_one_type_and_of_one_aggregate(shop: Runner) -> None:
    both = ("diff", "default", "other", "--name-only")
    assert len(shop.ok(*both, "--aggregate", "order").lines) == 5
    assert shop.ok(*both, "--aggregate", "invoice").lines == []
    assert shop.ok(*both, "--aggregate", "order", "--id", "o-1").lines == ["order/o-1"]
    assert shop.ok(*both, "--aggregate", "order", "--aggregate-id", "o-2").lines == []


def test_unrelated_domains_are_compared_and_called_so(shop: Runner) -> None:
    shop.ok("checkout", "-c", "stranger")
    shop.ok("aggregate", "create", "order", "all", "--event", "placed")
    done = shop.ok("diff", "default", "stranger")
    assert "diverged  order/all" in done.stdout
    assert "they part at version 1" in done.stdout
    assert "'default' and 'stranger' are unrelated" in done.stderr
    assert shop.ok("diff", "default", "stranger", "--json").json["related"] is False
    assert shop.ok("diff", "default", "other", "--json").json["related"] is True
    for name in ("default", "stranger", "other"):
        shop.ok("root", "export", f"{name}.roots", name)
    done = shop.ok("diff", "default.roots", "stranger.roots")
    assert "'default.roots' and 'stranger.roots' are unrelated" in done.stderr
    for one, other, related in (
        ("default.roots", "stranger", False),
        ("stranger", "other.roots", False),
        ("default.roots", "other.roots", True),  # no commit is known that both have, but an aggregate is
        ("other", "default.roots", True),
        ("other.roots", "default@HEAD~1", True),
    ):
        assert shop.ok("diff", one, other, "--json").json["related"] is related


# -- what was fetched --------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(shop: Runner, tmp_path: Path) -> Runner:
    """A clone of default in another repository; since then both went on, and it fetched."""
    away = Runner(tmp_path / "away", shop.home)
    away.cwd.mkdir()
    away.ok("init")
    away.ok("clone", str(shop.cwd), "mine")
    away.ok("checkout", "mine")
    for where, commits in (
        (shop, (("all", "all"), ("o-0", "o-7"), ("all", "o-8", "all"))),
        (away, (("all", "o-1", "o-9"),)),
    ):
        repository = open_repository(where.cwd)
        for commit in commits:
            append(repository.domain("mine" if where is away else "default"), *commit)
        repository.close()
    away.ok("fetch")
    return away


def test_a_remote_that_has_what_we_lack(clone: Runner, shop: Runner) -> None:
    lines = clone.ok("diff", "origin/main", "HEAD").lines
    assert [line.split()[:2] for line in lines] == [
        ["diverged", "order/all"], ["behind", "order/o-0"], ["ahead", "order/o-1"], ["removed", "order/o-7"],
        ["removed", "order/o-8"], ["added", "order/o-9"],
    ]  # fmt: skip
    assert clone.ok("diff", "origin/main").lines == lines
    # As comparing with the whole of it, cloned beside.
    clone.ok("clone", str(shop.cwd), "theirs")
    whole = clone.ok("diff", "theirs", "mine", "--json").json
    tracked = clone.ok("diff", "origin/main", "mine", "--json").json
    assert tracked["aggregates"] == whole["aggregates"]
    assert tracked["a"]["kind"] == "remote"
    for member in ("commit", "seq", "root"):
        assert tracked["a"][member] == whole["a"][member]
    assert tracked["common"] == whole["common"]
    patch = [line for line in clone.ok("diff", "origin/main", "-p").lines if line[0] in "+-"]
    assert patch == [line for line in clone.ok("diff", "theirs", "mine", "-p").lines if line[0] in "+-"]
    assert clone.ok("diff", "theirs", "origin/main").stdout == ""
    older, beside = (clone.ok("diff", "mine@HEAD~3", other, "--json").json for other in ("origin/main", "theirs"))
    assert older["aggregates"] == beside["aggregates"]
    clone.ok("root", "export", "theirs.roots", "theirs")
    assert clone.ok("diff", "origin/main", "theirs.roots", "--exit-code").stdout == ""


def test_a_remote_whose_segment_is_gone_or_damaged(clone: Runner) -> None:
    domain = clone.cwd / ".dbx" / "domains" / "mine"
    manifest = (domain / "refs" / "remotes" / "origin" / "main").read_text().split()[-1]
    last = (domain / "manifests" / manifest).read_text().splitlines()[-1].split()[0]
    path = domain / "segments" / f"{last}.seg"
    data = path.read_bytes()
    path.unlink()
    done = clone("diff", "origin/main")
    assert (done.status, f"{last}.seg' is missing" in done.stderr) == (7, True)
    path.write_bytes(data[:100] + bytes((data[100] ^ 1,)) + data[101:])
    assert clone("diff", "origin/main").status == 7


# -- root files --------------------------------------------------------------------------------------------------------


def test_root_files_need_no_repository(shop: Runner, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for name in ("default", "other"):
        done = shop.ok("root", "export", str(away / f"{name}.roots"), name)
        assert done.stdout == shop.ok("root", name).stdout
    found = shop.ok("diff", "default.roots", "other.roots", cwd=away)
    assert [line.split()[:2] for line in found.lines] == [
        ["ahead", "order/all"], ["removed", "order/mine"], ["behind", "order/o-0"], ["ahead", "order/o-1"],
        ["added", "order/theirs"],
    ]  # fmt: skip
    assert "roots alone do not tell" in found.lines[0]
    document = shop.ok("diff", "default.roots", "./other.roots", "--json", "-p", cwd=away).json
    assert document["aggregates"][0]["certain"] is False
    assert document["aggregates"][0]["events"] == {"a": [], "b": []}
    assert document["a"]["kind"] == "root_file"
    assert shop("diff", "default.roots", "default", cwd=away).status == 3
    assert shop("diff", "default.roots", cwd=away).status == 3


def test_a_domain_and_a_root_file(shop: Runner) -> None:
    shop.ok("root", "export", ROOTS)
    assert shop.ok("diff", ROOTS).stdout == ""
    assert shop.ok("diff", "default", ROOTS, "--exit-code").stdout == ""
    shop.ok("root", "export", "old.roots", "HEAD~1")
    assert statuses(shop.ok("diff", "old.roots", "--json").json) == {"all": "ahead", "mine": "added", "o-0": "ahead"}
    lines = shop.ok("diff", ROOTS, "other").lines
    assert lines[0].endswith("v4 and v5, they part at or before version 4")
    patch = shop.ok("diff", "old.roots", "HEAD", "-p").lines
    assert [line.split()[1] for line in patch if line[0] == "+"] == ["v4", "v1", "v2"]


def test_a_word_is_a_domain_first_then_a_ref_then_a_file(shop: Runner) -> None:
    shop.ok("root", "export", "other", "HEAD~1")
    assert shop.ok("diff", "other", "--json").json["a"]["kind"] == "domain"
    assert shop.ok("diff", "./other", "--json").json["a"]["kind"] == "root_file"
    shop.ok("root", "export", "v1", "HEAD~1")
    assert shop.ok("diff", "v1", "--json").json["a"]["kind"] == "root_file"
    make_tag(shop, "v1", "HEAD")
    assert shop.ok("diff", "v1", "--json").json["a"]["kind"] == "domain"


def test_a_tampered_root_file_is_refused_with_its_line(shop: Runner) -> None:
    shop.ok("root", "export", ROOTS)
    path = shop.cwd / ROOTS
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    for line, text in (
        (1, good.replace(",4,", ",5,")),
        (1, good.replace("dbx-roots/1", "dbx-roots/2")),
        (3, "".join((lines[0], lines[1], "[]\n", *lines[3:]))),
        (4, "".join((*lines[:2], lines[3], lines[2], *lines[4:]))),
        (len(lines), "".join(lines[:-1])),
        (len(lines), good[:-1]),
    ):
        path.write_text(text)
        for other in ("HEAD", ROOTS):
            done = shop("diff", ROOTS, other, "--json")
            assert (done.status, done.stdout) == (7, "")
            assert done.error["details"]["line"] == line
    assert "newer dbx" in _refused(shop, good.replace("dbx-roots/1", "dbx-roots/2"))


def _refused(shop: Runner, text: str) -> str:
    (shop.cwd / ROOTS).write_text(text)
    return shop("diff", ROOTS).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nothing",), 3, "there is no domain and no root file 'nothing' either"),
        (("nothing@HEAD",), 3, "domain 'nothing' does not exist"),
        (("default@zz",), 3, "'zz' names no commit"),
        (("HEAD~x",), 5, "at character 6"),
        (("HEAD~9",), 3, "before the first commit"),
        (("",), 5, "names nothing"),
        (("@",), 5, "names no commit"),
        (("HEAD..nothing",), 3, "nothing"),
        (("HEAD...HEAD",), 5, "is not a ref"),
        (("default@",), 5, "names no commit"),
        (("./none.roots",), 3, "there is no root file"),
        (("HEAD", "HEAD", "HEAD"), 2, "unexpected argument"),
        (("--id", "x"), 2, "needs '--aggregate'"),
        (("--aggregate", "No"), 5, "aggregate type"),
        (("--name-only", "--stat"), 2, "stands alone"),
        (("--name-only", "-p"), 2, "stands alone"),
        (("./",), 1, "not a regular file"),
    ],
)
def test_bad_input(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = shop("diff", *arguments)
    assert (done.status, done.stdout) == (status, "")
    assert said in done.stderr


def test_an_empty_domain(run: Runner) -> None:
    run.ok("init")
    assert run.ok("diff").stdout == ""
    run.ok("checkout", "-c", "other")
    assert run.ok("diff", "default", "other").stdout == ""
    run.ok("aggregate", "create", "order", "a", "--event", "placed")
    assert run.ok("diff", "default", "other").lines == [
        "added  order/a  v1, only in other".replace("added ", "added    ")
    ]
    assert run.ok("diff", "default", "other", "--json").json["a"]["commit"] is None


# -- root export -------------------------------------------------------------------------------------------------------


def test_an_export_names_what_it_wrote(shop: Runner) -> None:
    document = shop.ok("root", "export", ROOTS, "other@HEAD~1", "--json").json
    assert document == {
        "domain": "other",
        "file": ROOTS,
        "root": shop.ok("root", "other@HEAD~1").lines[0],
        "commit": shop.ok("root", "other@HEAD~1", "--json").json["commit"],
        "seq": 2,
        "aggregates": 4,
        "signed": False,
    }
    text = shop.ok("root", "export", "-", "other@HEAD~1").stdout
    assert text == (shop.cwd / ROOTS).read_text()
    header = json.loads(text.splitlines()[0])
    assert (header["format"], header["count"], header["index"]) == ("dbx-roots/1", 4, document["root"])
    assert json.loads(header["commit"])["index"] == document["root"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "needs the argument"),
        (("",), 2, "empty"),
        (("-", "--json"), 2, "standard output"),
        (("x", "nothing"), 3, "names no commit"),
        (("x", "default@zz"), 3, "names no commit"),
        (("x", "HEAD~9"), 3, "before the first"),
        (("x", "HEAD~x"), 5, "is not a ref"),
        ((".",), 1, "directory"),
        (("none/x",), 1, "no such file"),
    ],
)
def test_bad_exports_write_nothing(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    before = sorted(shop.cwd.iterdir())
    done = shop("root", "export", *arguments)
    assert (done.status, done.stdout) == (status, "")
    assert said in done.stderr.lower()
    assert sorted(shop.cwd.iterdir()) == before


def test_a_closed_pipe_is_no_error(shop: Runner) -> None:
    source = random.Random(1)
    repository = open_repository(shop.cwd)
    append(repository.domain(), *(f"x-{source.random()}" for _ in range(3000)))
    repository.close()
    process = shop.start("root", "export", "-", stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_two_signed_root_files_say_whose_they_are(shop: Runner, tmp_path: Path) -> None:
    vkey = shop.ok("key", "generate", "--name", "acme").lines[0]
    assert shop.ok("root", "export", "a.roots", "--sign", "--json").json["signed"] is True
    shop.ok("root", "export", "b.roots", "other", "--sign")
    shop.ok("root", "export", "plain.roots", "other")
    last = json.loads((shop.cwd / "a.roots").read_text().splitlines()[-1])
    assert last["proof"].startswith("c2sp.org/tlog-proof@v1\nindex 3\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("a.roots", "b.roots", "plain.roots"):
        (outside / name).write_bytes((shop.cwd / name).read_bytes())
    here = ("./a.roots", "./b.roots", "--json")
    found = shop.ok("diff", *here, "--key", vkey, cwd=outside).json
    assert (found["a"]["signers"], found["b"]["signers"], found["differs"]) == (["acme"], ["acme"], True)
    unknown = shop.ok("diff", *here, cwd=outside).json
    assert (unknown["a"]["signers"], unknown["differs"]) == ([], True)
    assert shop.ok("diff", *here).json["a"]["signers"] == ["acme"]
    assert shop.ok("diff", "./plain.roots", "./b.roots", "--json", cwd=outside).json["a"]["signers"] is None
    outcome = shop("diff", "./plain.roots", "./b.roots", "--key", vkey, "--json", cwd=outside)
    assert (outcome.status, outcome.error["details"]["reason"]) == (7, "unsigned")
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    outcome = shop("diff", *here, "--key", other, cwd=outside)
    assert outcome.status == 7


def test_a_proof_in_a_root_file_that_does_not_hold_is_damage(shop: Runner) -> None:
    shop.ok("key", "generate", "--name", "acme")
    shop.ok("root", "export", "a.roots", "--sign")
    shop.ok("root", "export", "b.roots", "other", "--sign")
    mine, theirs = ((shop.cwd / name).read_text().splitlines() for name in ("a.roots", "b.roots"))
    (shop.cwd / "mixed.roots").write_text("\n".join([*mine[:-1], theirs[-1]]) + "\n")
    outcome = shop("diff", "./mixed.roots", "HEAD", "--json")
    assert (outcome.status, outcome.error["details"]["reason"]) == (7, "changed")
    old = shop.ok("root", "export", "old.roots", "@HEAD~1", "--sign", "--json").json
    assert old["seq"] == 2
    shop.ok("diff", "./old.roots", "HEAD")
