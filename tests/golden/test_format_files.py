"""fixtures/formats: every good file is read and every bad one refused, by dbx and by the reader that shares no code.

What means something only inside a domain (segments, staging) is laid into one, and `dbx fsck` is asked.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from dbx.crypto import sign
from dbx.errors import DbxError
from dbx.formats import canonical, envelope, manifest, note, proof, reflog, refs, tlogproof, token
from dbx.formats import commit as commits
from dbx.model.proof import verify_proof
from dbx.model.token import decode_claims
from dbx.model.trust import holds_entry, open_checkpoint, open_note
from dbx.repo.compare.rootfile import open_root_file
from tests import reader, readlines

CHECKOUT = Path(__file__).resolve().parents[2]
FORMATS = CHECKOUT / "fixtures" / "formats"
DOMAIN = "018f9c2e-5b1a-4c3d-9e8f-0a1b2c3d4e5f"
KEYS = (note.parse_vkey((FORMATS / "log.vkey").read_text(encoding="utf-8").strip()),)
LAST_COMMIT = (FORMATS / "segment" / "valid" / "plain.seg").read_bytes()
COMMIT_LINE = re.compile(rb'\{"actor":\{[^\n]*"v":1\}')


def cases(kind: str, formats: set[str] | None = None) -> list[Path]:
    """The files of one kind, of all formats or of some."""
    return sorted(path for path in FORMATS.glob(f"*/{kind}/*") if formats is None or path.parts[-3] in formats)


def named(path: Path) -> str:
    return "-".join(path.parts[-3:])


def read_ref(path: Path) -> None:
    decoders = {"HEAD": refs.check_head, "main": refs.decode_ref, "tag": refs.decode_tag}
    decoders[path.name.partition(".")[0]](path.read_bytes())


def read_canonical(path: Path) -> None:
    data = path.read_bytes()
    assert canonical.encode(canonical.decode(data)) == data


def read_envelope(path: Path) -> None:
    data = path.read_bytes()
    assert envelope.encode_envelope(envelope.decode_envelope(data)) == data


def read_body(path: Path) -> None:
    data = path.read_bytes()
    assert envelope.encode_body(envelope.decode_body(data)) == data


def read_commit(path: Path) -> None:
    data = path.read_bytes()
    assert commits.encode_commit(commits.decode_commit(data)) == data


def read_manifest(path: Path) -> None:
    data = path.read_bytes()
    assert manifest.encode_manifest(manifest.decode_manifest(data)) == data


def read_reflog(path: Path) -> None:
    data = path.read_bytes()
    assert b"".join(map(reflog.encode_entry, reflog.decode_reflog(data))) == data


def read_rootfile(path: Path) -> None:
    with open_root_file(str(path)) as found:
        assert found.header.aggregates in (0, 1)


def read_note(path: Path) -> None:
    data = path.read_bytes()
    assert note.format_note(open_note(data, KEYS).note) == data


def read_checkpoint(path: Path) -> None:
    assert open_checkpoint(path.read_bytes(), KEYS)[0].size in (0, 42)


def read_tlogproof(path: Path) -> None:
    found = tlogproof.parse_tlog_proof(path.read_bytes())
    entry = COMMIT_LINE.findall(LAST_COMMIT)[-1]
    if not holds_entry(open_checkpoint(found.checkpoint, KEYS)[0], found.position, found.hashes, entry):
        raise DbxError("the commit is not in the log")


def read_proof(path: Path) -> None:
    verdict = verify_proof(proof.decode_proof(path.read_bytes()), KEYS)
    if verdict.reason is not None:
        raise DbxError(verdict.reason)


def read_token(path: Path) -> None:
    found = token.parse_token(path.read_bytes().decode())
    decode_claims(found.claims)
    if not sign.verify(KEYS[0].public, found.signed, found.signature):
        raise DbxError("the signature does not hold")


READERS: dict[str, Callable[[Path], None]] = {
    "canonical": read_canonical,
    "envelope": read_envelope,
    "body": read_body,
    "commit": read_commit,
    "manifest": read_manifest,
    "refs": read_ref,
    "reflog": read_reflog,
    "rootfile": read_rootfile,
    "note": read_note,
    "checkpoint": read_checkpoint,
    "tlogproof": read_tlogproof,
    "proof": read_proof,
    "token": read_token,
}
ALONE = set(READERS)
STRANGERS: dict[str, Callable[[bytes], object]] = {
    "canonical": readlines.canonical,
    "envelope": readlines.envelope_of,
    "body": readlines.body_of,
    "commit": readlines.commit_of,
    "manifest": readlines.manifest_of,
}
REFUSALS = (AssertionError, ValueError, KeyError, TypeError, RecursionError)
"""What the independent reader raises; whatever it is, it did not take the file."""


def test_every_format_has_good_files_and_bad_ones() -> None:
    found = {path.name for path in FORMATS.iterdir() if path.is_dir()}
    assert found == {*READERS, "segment", "staging"}
    for name in found:
        assert len(list((FORMATS / name / "valid").iterdir())) >= 2, name
        assert len(list((FORMATS / name / "invalid").iterdir())) >= 8, name


def test_they_are_what_make_py_makes(tmp_path: Path) -> None:
    make = [sys.executable, "fixtures/make.py", "formats", "--target", str(tmp_path / "formats")]
    subprocess.run(make, cwd=CHECKOUT, check=True, capture_output=True)
    made = sorted(path.relative_to(tmp_path / "formats") for path in (tmp_path / "formats").rglob("*"))
    assert made == sorted(path.relative_to(FORMATS) for path in FORMATS.rglob("*"))
    for path in made:
        if (FORMATS / path).is_file():
            assert filecmp.cmp(FORMATS / path, tmp_path / "formats" / path, shallow=False), path


@pytest.mark.parametrize("path", cases("valid", ALONE), ids=named)
def test_a_good_file_is_read(path: Path) -> None:
    READERS[path.parts[-3]](path)


@pytest.mark.parametrize("path", cases("invalid", ALONE), ids=named)
def test_a_bad_file_is_refused(path: Path) -> None:
    with pytest.raises(DbxError):
        READERS[path.parts[-3]](path)


@pytest.mark.parametrize("path", cases("valid", set(STRANGERS)), ids=named)
def test_the_independent_reader_reads_a_good_file(path: Path) -> None:
    STRANGERS[path.parts[-3]](path.read_bytes())


@pytest.mark.parametrize("path", cases("invalid", set(STRANGERS)), ids=named)
def test_the_independent_reader_refuses_a_bad_file(path: Path) -> None:
    with pytest.raises(REFUSALS):
        STRANGERS[path.parts[-3]](path.read_bytes())


@pytest.mark.parametrize("path", cases("valid", {"refs"}) + cases("invalid", {"refs"}), ids=named)
def test_the_independent_reader_tells_refs_apart(path: Path) -> None:
    read = {"main": readlines.ref_of, "tag": readlines.tag_of}.get(path.name.partition(".")[0])
    if read is None:
        return
    if path.parts[-2] == "valid":
        read(path.read_bytes())
    else:
        with pytest.raises(REFUSALS):
            read(path.read_bytes())


# -- in a domain ------------------------------------------------------------------------------------------------------


def dbx(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "dbx", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an empty domain of the files' id."""
    path = tmp_path_factory.mktemp("empty")
    assert dbx("init", cwd=path).returncode == 0
    file = path / ".dbx/domains/default/domain.yaml"
    file.write_text(re.sub("(?m)^id: .*$", f'id: "{DOMAIN}"', file.read_text(encoding="utf-8")), encoding="utf-8")
    (path / ".dbx/domains/default/index.db").unlink(missing_ok=True)
    return path


def lay_out(empty: Path, where: Path) -> Path:
    """A copy of the workspace; returns its domain's directory."""
    shutil.copytree(empty, where, dirs_exist_ok=True)
    return where / ".dbx/domains/default"


def put_segment(directory: Path, data: bytes) -> None:
    """As the only segment, named as it must be, under a ref that names its last commit."""
    last = (COMMIT_LINE.findall(data) or COMMIT_LINE.findall(LAST_COMMIT))[-1].split(b"\n")[-1]
    commit, seq = sha256(b"\0" + last).hexdigest(), json.loads(last)["seq"]
    name = sha256(data).hexdigest()
    listed = f"{name} {len(data)} 0 {seq} {commit}\n".encode()
    whole = sha256(listed).hexdigest()
    for file, content in (
        (f"segments/{name}.seg", data),
        (f"manifests/{whole}", listed),
        ("refs/heads/main", f"commit {commit} {seq}\nmanifest {whole}\n".encode()),
    ):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_bytes(content)


@pytest.mark.parametrize("path", cases("valid", {"segment"}), ids=named)
def test_a_good_segment_is_a_history(path: Path, empty: Path, tmp_path: Path) -> None:
    directory = lay_out(empty, tmp_path)
    put_segment(directory, path.read_bytes())
    done = dbx("fsck", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, 3), done
    log = reader.read(directory)
    assert (len(log.commits), len(log.events)) == (2, 3)


@pytest.mark.parametrize("path", cases("invalid", {"segment"}), ids=named)
def test_a_bad_segment_is_damage(path: Path, empty: Path, tmp_path: Path) -> None:
    directory = lay_out(empty, tmp_path)
    put_segment(directory, path.read_bytes())
    done = dbx("fsck", "--json", cwd=tmp_path)
    assert done.returncode == 7, done
    assert "Traceback" not in done.stderr
    with pytest.raises(REFUSALS):
        reader.read(directory)


@pytest.mark.parametrize("path", cases("valid", {"staging"}), ids=named)
def test_a_good_staging_file_is_committed(path: Path, empty: Path, tmp_path: Path) -> None:
    directory = lay_out(empty, tmp_path)
    shutil.copy(path, directory / "staging.jsonl")
    assert dbx("fsck", cwd=tmp_path).returncode == 0
    staged = dbx("staged", "--jsonl", cwd=tmp_path)
    count = len(staged.stdout.splitlines())
    assert (staged.returncode, count) == (0, 3 if path.stem in ("two_sections", "block_and_line") else 2), staged
    assert dbx("commit", cwd=tmp_path).returncode == 0
    assert len(reader.read(directory).events) == count


@pytest.mark.parametrize("path", cases("invalid", {"staging"}), ids=named)
def test_a_bad_staging_file_is_damage_and_stays(path: Path, empty: Path, tmp_path: Path) -> None:
    directory = lay_out(empty, tmp_path)
    shutil.copy(path, directory / "staging.jsonl")
    # Whole, but not what may come next: nobody's damage, and no history either.
    moved = path.stem in ("version_gap", "section_dropped")
    refused = 4 if moved or path.stem == "of_another_domain" else 7
    for command, status in (("fsck", 0 if moved else 7), ("commit", refused)):
        done = dbx(command, cwd=tmp_path)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
    assert reader.read(directory).events == []
    assert (directory / "staging.jsonl").read_bytes() == path.read_bytes()
