"""Root files on disk: written whole, and not believed unless every line fits."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from dbx.crypto.indextree import EMPTY, key_of
from dbx.errors import Corrupt, Failure, NotFound
from dbx.formats.rootfile import decode_header, encode_header
from dbx.repo.compare.rootfile import export_roots, export_roots_to, find_commit_id, open_root_file
from dbx.repo.domain import Domain
from dbx.repo.query import list_aggregates
from dbx.repo.upkeep.survey import get_root
from dbx.store.index import Index
from tests.history import append, open_repository


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    domain = open_repository(tmp_path).domain()
    source = random.Random(3)
    for _ in range(8):
        append(domain, *(f"o-{source.randrange(60)}" for _ in range(10)))
    return domain


def text_of(domain: Domain, seq: int | None = None) -> str:
    out = io.BytesIO()
    export_roots(domain, out.write, seq)
    return out.getvalue().decode()


def test_a_file_has_every_aggregate_in_the_order_of_its_key(domain: Domain, tmp_path: Path) -> None:
    path = str(tmp_path / "x.roots")
    done = export_roots_to(domain, path)
    root = get_root(domain)
    aggregates = list_aggregates(domain)
    assert done == (root.root, root.commit, 7, len(aggregates))
    assert Path(path).read_text() == text_of(domain)
    keys = [key_of(one.aggregate_type, one.aggregate_id) for one in aggregates]
    with open_root_file(path) as file:
        assert (file.header.aggregates, file.header.root.hex(), find_commit_id(file.header)) == (
            len(aggregates), root.root, root.commit,
        )  # fmt: skip
        standings = file.standings([*keys, b"\0" * 32, b"\xff" * 32])
        assert {(one.id, one.version, one.root.hex()) for one in standings.values()} == {
            (one.aggregate_id, one.version, one.root) for one in aggregates
        }
    lines = Path(path).read_text().splitlines()[1:]
    assert [key_of("order", line.split('"')[3]) for line in lines] == sorted(keys)


@pytest.mark.parametrize("seq", [0, 3, 6])
def test_a_file_of_an_older_commit(domain: Domain, tmp_path: Path, seq: int) -> None:
    done = export_roots_to(domain, str(tmp_path / "x"), seq)
    root = get_root(domain, seq)
    assert done == (root.root, root.commit, seq, root.aggregates)
    with open_root_file(str(tmp_path / "x")) as file:
        assert file.header.root.hex() == root.root


def test_a_file_of_an_empty_domain(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    done = export_roots_to(domain, str(tmp_path / "x"))
    assert done == (EMPTY.hex(), None, -1, 0)
    with open_root_file(str(tmp_path / "x")) as file:
        assert file.view() is None


def test_a_proof_is_kept(domain: Domain, tmp_path: Path) -> None:
    export_roots_to(domain, str(tmp_path / "x"), proof="proof\n")
    with open_root_file(str(tmp_path / "x")) as file:
        assert file.proof == "proof\n"


def test_what_is_there_is_replaced_whole_or_not_at_all(domain: Domain, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(Failure, match="directory"):
        export_roots_to(domain, str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Failure, match="not a regular file"):
        export_roots_to(domain, str(tmp_path / "fifo"))
    assert path.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == [".dbx", "fifo", "x"]
    export_roots_to(domain, str(path))
    assert path.read_text() != "old"


def test_an_index_that_does_not_add_up_is_made_anew_before_a_line_is_written(domain: Domain, tmp_path: Path) -> None:
    good = text_of(domain)
    domain.close()
    index = Index(domain.directory.path_of("index.db"))
    index.many("UPDATE aggregate SET version = version + 1 WHERE id = ?", [("o-1",)])
    index.close()
    out: list[bytes] = []
    export_roots(domain, out.append)
    assert b"".join(out).decode() == good


# -- tampering ---------------------------------------------------------------------------------------------------------


def refuse(path: Path, text: str) -> Corrupt:
    path.write_text(text)
    with pytest.raises(Corrupt) as caught, open_root_file(str(path)):
        pass
    return caught.value


def test_every_change_is_found(domain: Domain, tmp_path: Path) -> None:
    good = text_of(domain)
    lines = good.splitlines(keepends=True)
    path = tmp_path / "x"
    for n in range(1, len(lines)):
        version = lines[n].split(",")[2]
        changed = lines[n].replace(f",{version},", f",{int(version) + 1},")
        assert refuse(path, "".join((*lines[:n], changed, *lines[n + 1 :]))).details["line"] == 1
        flipped = lines[n].replace('"]', "").rstrip("\n")
        flipped = flipped[:-1] + ("0" if flipped[-1] != "0" else "1") + '"]\n'
        assert "lines 2 to" in refuse(path, "".join((*lines[:n], flipped, *lines[n + 1 :]))).message
        # Left out, twice, and in another order: there the line is known.
        assert refuse(path, "".join((*lines[:n], *lines[n + 1 :]))).details["line"] == len(lines)
        if n + 1 < len(lines):
            twice = refuse(path, "".join((*lines[: n + 1], *lines[n:-1])))
            assert (twice.details["line"], "twice" in twice.message) == (n + 2, True)
            swapped = refuse(path, "".join((*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :])))
            assert swapped.details["line"] == n + 2
            assert "order of its key" in swapped.message


def test_every_byte_counts_but_those_of_the_commit_that_only_a_signature_vouches_for(
    domain: Domain, tmp_path: Path
) -> None:
    header, rest = text_of(domain).encode().split(b"\n", 1)
    bare = encode_header(None, rest.count(b"\n"), decode_header(header).root)
    good = bare + rest
    source = random.Random(5)
    path = tmp_path / "x"
    path.write_bytes(good)
    with open_root_file(str(path)):
        pass
    for _ in range(200):
        at = source.randrange(len(good))
        for bad in (good[:at] + bytes((good[at] ^ 1 << source.randrange(8),)) + good[at + 1 :], good[:at]):
            path.write_bytes(bad)
            with pytest.raises(Corrupt), open_root_file(str(path)):
                pass


def test_a_file_changed_while_it_is_used_is_refused(domain: Domain, tmp_path: Path) -> None:
    path = tmp_path / "x"
    export_roots_to(domain, str(path))
    lines = path.read_text().splitlines(keepends=True)
    with open_root_file(str(path)) as file:
        version = lines[1].split(",")[2]
        changed = lines[1].replace(f",{version},", f",{9 - int(version)},")
        path.write_text("".join((lines[0], changed, *lines[2:])))
        key = key_of("order", lines[1].split('"')[3])
        with pytest.raises(Corrupt, match="line 2: it was changed while"):
            file.standings([key])


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound), open_root_file(str(tmp_path / "none")):
        pass
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/null")):
        with pytest.raises(Failure, match="not a regular file"), open_root_file(str(path)):
            pass
