"""The Merkle trees of RFC 9162 against published trees and proofs, good and bad."""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import pairwise
from typing import Any

import pytest

from dbx.crypto import merkle
from dbx.errors import Corrupt
from tests.vectors import shared

# Upstream accepts this without looking at the roots, which are no hashes; a root is 32 bytes here.
ROOTS_THAT_ARE_NO_HASHES = {"sizes-are-equal-one-and-proof-is-empty.json"}


def read_extracted(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(shared(f"vectors/extracted/{name}").read_bytes())
    return data


def read_cases(kind: str, at_least: int) -> dict[str, dict[str, Any]]:
    folder = shared(f"vectors/rfc6962-merkle/transparency-dev/{kind}")
    cases = {str(file.relative_to(folder)): json.loads(file.read_bytes()) for file in sorted(folder.rglob("*.json"))}
    assert len(cases) >= at_least
    return cases


def decode_proof(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(text) for text in case["proof"] or []]


@pytest.fixture
def reference() -> dict[str, Any]:
    return read_extracted("rfc6962_reference_tree.json")


@pytest.fixture
def leaves(reference: dict[str, Any]) -> list[bytes]:
    return [merkle.leaf_hash(bytes.fromhex(text)) for text in reference["leaf_inputs_hex"]]


def test_roots_of_the_reference_tree(reference: dict[str, Any], leaves: list[bytes]) -> None:
    roots = [bytes.fromhex(text) for text in reference["roots_by_size_hex"]]
    assert [merkle.root(leaves[:size]) for size in range(len(leaves) + 1)] == roots
    edge: list[bytes] = []
    assert merkle.edge_root(edge) == roots[0] == merkle.EMPTY
    for size, leaf in enumerate(leaves):
        merkle.append(edge, size, leaf)
        assert merkle.edge_root(edge) == roots[size + 1]


def test_nodes_of_the_reference_tree(reference: dict[str, Any], leaves: list[bytes]) -> None:
    levels = [[bytes.fromhex(text) for text in level] for level in reference["node_hashes_by_level_hex"]]
    assert levels[0] == leaves
    for below, level in pairwise(levels):
        assert level == [merkle.node_hash(*below[at : at + 2]) for at in range(0, len(below), 2)]


def test_audit_paths_of_the_reference_tree(leaves: list[bytes]) -> None:
    paths = [path for path in read_extracted("rfc6962_cc_audit_paths.json")["paths"] if path["leaf_1based"]]
    assert len(paths) == 5
    for path in paths:
        index, size = path["leaf_1based"] - 1, path["tree_size"]
        proof = [bytes.fromhex(text) for text in path["path_hex"]]
        assert merkle.prove_inclusion(leaves[:size], index) == proof
        assert merkle.verify_inclusion(leaves[index], index, size, proof, merkle.root(leaves[:size]))


def test_consistency_of_the_reference_tree(leaves: list[bytes]) -> None:
    paths = read_extracted("rfc6962_cc_consistency.json")["proofs"]
    assert len(paths) == 4
    for path in paths:
        first, second = path["size1"], path["size2"]
        proof = [bytes.fromhex(text) for text in path["path_hex"]]
        roots = merkle.root(leaves[:first]), merkle.root(leaves[:second])
        assert merkle.prove_consistency(leaves[:second], first) == proof
        assert merkle.verify_consistency(first, second, *roots, proof)


def test_inclusion_in_a_real_certificate_log() -> None:
    case = read_extracted("rfc6962_real_ct_log_inclusion.json")
    leaf = merkle.leaf_hash(bytes.fromhex(case["leaf_hex"]))
    proof = [bytes.fromhex(text) for text in case["path_hex"]]
    index, size, root = case["leaf_index"], case["tree_size"], bytes.fromhex(case["root_hex"])
    assert merkle.verify_inclusion(leaf, index, size, proof, root)
    assert not merkle.verify_inclusion(leaf, index + 1, size, proof, root)


def test_published_inclusion_proofs() -> None:
    for name, case in read_cases("inclusion", at_least=98).items():
        leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
        verdict = merkle.verify_inclusion(leaf, case["leafIdx"], case["treeSize"], decode_proof(case), root)
        assert verdict is not case["wantErr"], name


def test_published_consistency_proofs() -> None:
    for name, case in read_cases("consistency", at_least=98).items():
        roots = b64decode(case["root1"]), b64decode(case["root2"])
        verdict = merkle.verify_consistency(case["size1"], case["size2"], *roots, decode_proof(case))
        refused = case["wantErr"] or name.rpartition("/")[2] in ROOTS_THAT_ARE_NO_HASHES
        assert verdict is not refused, name


def test_published_proofs_of_subtrees_from_the_first_leaf() -> None:
    """One that starts at leaf 0 and is not empty is a tree of its own, and its consistency is that of RFC 9162."""
    inclusion = {k: c for k, c in read_cases("subtreeinclusion", at_least=204).items() if c["start"] == 0}
    consistency = {
        k: c for k, c in read_cases("subtreeconsistency", at_least=118).items() if c["start"] == 0 < c["end"]
    }
    assert inclusion
    assert consistency
    for name, case in inclusion.items():
        leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
        verdict = merkle.verify_inclusion(leaf, case["leafIdx"], case["end"], decode_proof(case), root)
        assert verdict is not case["wantErr"], name
    for name, case in consistency.items():
        roots = b64decode(case["root1"]), b64decode(case["root2"])
        verdict = merkle.verify_consistency(case["end"], case["size"], *roots, decode_proof(case))
        refused = case["wantErr"] or name.rpartition("/")[2] in ROOTS_THAT_ARE_NO_HASHES
        assert verdict is not refused, name


@pytest.mark.parametrize(("size", "index"), [(0, 0), (1, 1), (3, -1), (3, 3)])
def test_no_inclusion_proof_of_a_leaf_that_is_not_there(size: int, index: int) -> None:
    with pytest.raises(ValueError, match=f"no leaf {index} in a tree of {size} leaves"):
        merkle.prove_inclusion([merkle.leaf_hash(b"")] * size, index)


@pytest.mark.parametrize(("size", "first"), [(0, 0), (3, 0), (3, -1), (3, 4)])
def test_no_consistency_proof_from_nothing_or_from_more(size: int, first: int) -> None:
    with pytest.raises(ValueError, match=f"no consistency proof from {first} to {size} leaves"):
        merkle.prove_consistency([merkle.leaf_hash(b"")] * size, first)


def test_an_edge_of_another_size_is_not_extended() -> None:
    edge = [merkle.leaf_hash(b"")]
    with pytest.raises(ValueError, match="1 hashes are not the right edge of 3 leaves"):
        merkle.append(edge, 3, merkle.leaf_hash(b""))
    with pytest.raises(ValueError, match="1 hashes are not the right edge of 0 leaves"):
        merkle.extend(edge, 0, [])
    assert edge == [merkle.leaf_hash(b"")]


def test_a_failed_extension_leaves_the_edge_as_it_was() -> None:
    edge = [merkle.leaf_hash(b"")]

    def broken_source() -> Any:
        yield merkle.leaf_hash(b"1")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        merkle.extend(edge, 1, broken_source())
    assert edge == [merkle.leaf_hash(b"")]


@pytest.mark.parametrize(("data", "size"), [(b"", 1), (b"x" * 32, 0), (b"x" * 33, 1), (b"x" * 64, 4), (b"x" * 31, 8)])
def test_an_edge_of_the_wrong_length_is_corrupt(data: bytes, size: int) -> None:
    with pytest.raises(Corrupt, match=f"right edge of {size} leaves has {len(data)} bytes"):
        merkle.decode_edge(data, size)


@pytest.mark.parametrize("size", [-1, 1 << 64])
def test_an_edge_of_an_impossible_size_is_corrupt(size: int) -> None:
    with pytest.raises(Corrupt, match="is not between 0 and"):
        merkle.decode_edge(b"x" * 32, size)


@pytest.mark.parametrize("before", [0, 1, 2, 3, 5, 7, 8, 13, 31, 64])
def test_subtrees_made_elsewhere_grow_an_edge(before: int) -> None:
    leaves = [merkle.leaf_hash(bytes([n])) for n in range(200)]
    for count in (0, 1, 2, 3, 4, 5, 8, 9, 31, 33, 100):
        edge: list[bytes] = []
        merkle.extend(edge, 0, leaves[:before])
        trees = merkle.subtrees(before, leaves[before : before + count])
        assert len(trees) <= 2 * max(1, count).bit_length()
        assert merkle.graft(edge, before, trees) == before + count
        assert merkle.edge_root(edge) == merkle.root(leaves[: before + count])
        assert len(edge) == (before + count).bit_count()


@pytest.mark.parametrize("count", [*range(10), 31, 32, 33, 64, 100])
def test_hashes_in_one_piece_have_the_same_roots(count: int) -> None:
    leaves = [merkle.leaf_hash(bytes([n])) for n in range(count)]
    edge: list[bytes] = []
    merkle.extend(edge, 0, leaves)
    assert merkle.joined_root(b"".join(leaves)) == merkle.root(leaves)
    assert merkle.joined_edge_root(merkle.encode_edge(edge)) == merkle.root(leaves)


def test_a_subtree_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="height 1 fits behind 1 leaves"):
        merkle.graft([b"a" * 32], 1, [(1, b"b" * 32)])
