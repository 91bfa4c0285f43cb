"""Laws of the Merkle trees, against slow definitions written straight from RFC 9162 §2.1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import merkle

MOST_LEAVES = 70


def split(size: int) -> int:
    """k, the largest power of two smaller than n."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def mth(entries: list[bytes]) -> bytes:
    """MTH(D_n) of §2.1.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH(m, D_n) of §2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D_n, b) of §2.1.4.1."""
    if m == len(entries):
        return [] if known else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], known), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def inclusion_shape(index: int, size: int) -> str | None:
    """On which side each sibling stands, from the bottom up; None where there is no such leaf.

    A verifier sees (index, size) only as this, so that a proof holds for every pair of the same shape.
    """
    if not 0 <= index < size:
        return None
    if size == 1:
        return ""
    k = split(size)
    return f"{inclusion_shape(index, k)}R" if index < k else f"{inclusion_shape(index - k, size - k)}L"


def consistency_shape(first: int, second: int, known: bool = True) -> str | None:
    """The same for (first, second): where the path begins, then whether each node is in both trees or only the new."""
    if not 0 < first <= second:
        return None
    if first == second:
        return "known " if known else "told "
    k = split(second)
    if first <= k:
        return f"{consistency_shape(first, k, known)}N"
    return f"{consistency_shape(first - k, second - k, False)}B"


@functools.cache
def tree(size: int) -> tuple[list[bytes], list[bytes]]:
    """Distinct entries and their leaves."""
    entries = [number.to_bytes(2, "big") for number in range(size)]
    return entries, [merkle.leaf_hash(entry) for entry in entries]


def root_of(size: int) -> bytes:
    return merkle.root(tree(size)[1])


sizes = st.integers(1, MOST_LEAVES)
leaf_in_tree = sizes.flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))
two_sizes = sizes.flatmap(lambda size: st.tuples(st.integers(1, size), st.just(size)))
numbers = st.one_of(
    st.integers(-3, MOST_LEAVES * 2), st.sampled_from([1 << 31, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 999])
)
hashes = st.binary(min_size=32, max_size=32)
entry_lists = st.lists(st.binary(max_size=40), max_size=MOST_LEAVES)


def flip(data: bytes, bit: int) -> bytes:
    at = bit % (8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def changed(proof: list[bytes], bit: int) -> list[list[bytes]]:
    """`proof` with each single thing wrong that can be: a bit, an entry lost, doubled, swapped, of a wrong length."""
    wrong = [[bytes(32), *proof], [*proof, bytes(32)], [*proof, b""], [*proof, *[bytes(32)] * 1000]]
    for at, node in enumerate(proof):
        before, after = proof[:at], proof[at + 1 :]
        wrong += [[*before, *after], [*before, node, node, *after]]
        wrong += [[*before, other, *after] for other in (flip(node, bit), b"", node[:31], node + b"\x00")]
        if after:
            wrong.append([*before, after[0], node, *after[1:]])
    return wrong


@given(entry_lists)
def test_root_is_the_definition(entries: list[bytes]) -> None:
    assert merkle.root([merkle.leaf_hash(entry) for entry in entries]) == mth(entries)


def test_root_is_the_definition_at_every_size() -> None:
    for size in range(300):
        entries, leaves = tree(size)
        assert merkle.root(leaves) == mth(entries)


@given(entry_lists)
def test_edge_has_the_root_of_every_prefix(entries: list[bytes]) -> None:
    edge: list[bytes] = []
    assert merkle.edge_root(edge) == mth([])
    for size, entry in enumerate(entries):
        merkle.append(edge, size, merkle.leaf_hash(entry))
        assert len(edge) == (size + 1).bit_count()
        assert merkle.edge_root(edge) == mth(entries[: size + 1])


@given(st.lists(st.integers(0, 40), max_size=8))
def test_extending_is_appending_one_by_one(lengths: list[int]) -> None:
    leaves = tree(sum(lengths))[1]
    one_by_one: list[bytes] = []
    extended: list[bytes] = []
    size = 0
    for length in lengths:
        more = leaves[size : size + length]
        merkle.extend(extended, size, iter(more))
        for leaf in more:
            merkle.append(one_by_one, size, leaf)
            size += 1
        assert extended == one_by_one
    assert merkle.edge_root(extended) == merkle.root(leaves)


@given(st.integers(0, 300))
def test_edge_survives_encoding(size: int) -> None:
    edge: list[bytes] = []
    merkle.extend(edge, 0, tree(size)[1])
    assert merkle.decode_edge(merkle.encode_edge(edge), size) == edge


def test_every_inclusion_proof_is_the_definition_and_verifies() -> None:
    for size in range(1, 40):
        entries, leaves = tree(size)
        for index in range(size):
            proof = merkle.prove_inclusion(leaves, index)
            assert proof == path(index, entries)
            assert merkle.verify_inclusion(leaves[index], index, size, proof, root_of(size))


def test_every_consistency_proof_is_the_definition_and_verifies() -> None:
    for second in range(1, 40):
        entries, leaves = tree(second)
        for first in range(1, second + 1):
            proof = merkle.prove_consistency(leaves, first)
            assert proof == subproof(first, entries, True)
            assert merkle.verify_consistency(first, second, root_of(first), root_of(second), proof)


@given(leaf_in_tree, st.integers(0, 255))
def test_inclusion_refuses_each_change_of_a_hash(where: tuple[int, int], bit: int) -> None:
    index, size = where
    leaves = tree(size)[1]
    leaf, root, proof = leaves[index], root_of(size), merkle.prove_inclusion(leaves, index)
    for wrong_leaf in (flip(leaf, bit), *leaves[:index], *leaves[index + 1 :], b"", leaf[:31], leaf + b"\x00"):
        assert not merkle.verify_inclusion(wrong_leaf, index, size, proof, root)
    for wrong_root in (flip(root, bit), root_of(size + 1), merkle.EMPTY, b"", root[:31], root + b"\x00"):
        assert not merkle.verify_inclusion(leaf, index, size, proof, wrong_root)
    for wrong_proof in changed(proof, bit):
        assert not merkle.verify_inclusion(leaf, index, size, wrong_proof, root)


@given(two_sizes, st.integers(0, 255))
def test_consistency_refuses_each_change_of_a_hash(pair: tuple[int, int], bit: int) -> None:
    first, second = pair
    old, new = root_of(first), root_of(second)
    proof = merkle.prove_consistency(tree(second)[1], first)
    for wrong in (flip(old, bit), root_of(first + 1), merkle.EMPTY, b"", old[:31], old + b"\x00"):
        assert not merkle.verify_consistency(first, second, wrong, new, proof)
    for wrong in (flip(new, bit), root_of(second + 1), merkle.EMPTY, b"", new[:31], new + b"\x00"):
        assert not merkle.verify_consistency(first, second, old, wrong, proof)
    for wrong_proof in changed(proof, bit):
        assert not merkle.verify_consistency(first, second, old, new, wrong_proof)


def refuses_other_shapes(
    shape: Callable[[int, int], str | None], verify: Callable[[int, int], bool], one: int, two: int
) -> None:
    """Every single change of a number is refused, but for those that RFC 9162's proofs cannot tell apart."""
    for other in range(-2, MOST_LEAVES * 2):
        assert verify(other, two) is (shape(other, two) == shape(one, two))
        assert verify(one, other) is (shape(one, other) == shape(one, two))


@given(leaf_in_tree)
@settings(max_examples=50)
def test_inclusion_refuses_each_change_of_index_or_size(where: tuple[int, int]) -> None:
    index, size = where
    leaves = tree(size)[1]
    proof = merkle.prove_inclusion(leaves, index)

    def verify(index_: int, size_: int) -> bool:
        return merkle.verify_inclusion(leaves[index], index_, size_, proof, root_of(size))

    refuses_other_shapes(inclusion_shape, verify, index, size)
    assert not any(verify(other, size) for other in range(-2, size + 2) if other != index)


@given(two_sizes)
@settings(max_examples=50)
def test_consistency_refuses_each_change_of_a_size(pair: tuple[int, int]) -> None:
    first, second = pair
    proof = merkle.prove_consistency(tree(second)[1], first)

    def verify(first_: int, second_: int) -> bool:
        return merkle.verify_consistency(first_, second_, root_of(first), root_of(second), proof)

    refuses_other_shapes(consistency_shape, verify, first, second)


def test_a_proof_holds_for_no_pair_of_numbers_of_another_shape() -> None:
    for size in range(1, 12):
        leaves = tree(size)[1]
        for one in range(1, size + 1):
            path_, growth = merkle.prove_inclusion(leaves, one - 1), merkle.prove_consistency(leaves, one)
            for other in range(14):
                for two in range(14):
                    verdict = merkle.verify_inclusion(leaves[one - 1], other, two, path_, root_of(size))
                    assert verdict is (inclusion_shape(other, two) == inclusion_shape(one - 1, size))
                    verdict = merkle.verify_consistency(other, two, root_of(one), root_of(size), growth)
                    same_shape = consistency_shape(other, two) == consistency_shape(one, size)
                    assert verdict is same_shape


@given(numbers, numbers, st.lists(st.one_of(hashes, st.binary(max_size=40)), max_size=70), hashes, hashes)
def test_malformed_proofs_are_refused_and_never_raise(
    one: int, two: int, proof: list[bytes], left: bytes, right: bytes
) -> None:
    assert not merkle.verify_inclusion(left, one, two, proof, right + b"\x00")
    assert not merkle.verify_consistency(one, two, left[:31], right, proof)
    only_leaf = (one, two, proof) == (0, 1, []) and left == right
    assert merkle.verify_inclusion(left, one, two, proof, right) is only_leaf
    unchanged = 0 < one == two < 1 << 64 and not proof and left == right
    assert merkle.verify_consistency(one, two, left, right, proof) is unchanged


def test_what_is_no_hash_is_refused_and_never_raises() -> None:
    leaves = tree(5)[1]
    inclusion, consistency = merkle.prove_inclusion(leaves, 2), merkle.prove_consistency(leaves, 3)
    for stranger in (None, 7, "x" * 32, [0] * 32, bytearray(32)):
        for at in range(len(inclusion)):
            proof: list[bytes] = [*inclusion[:at], stranger, *inclusion[at + 1 :]]  # type: ignore[list-item]
            assert merkle.verify_inclusion(leaves[2], 2, 5, proof, root_of(5)) is False
        for at in range(len(consistency)):
            proof = [*consistency[:at], stranger, *consistency[at + 1 :]]  # type: ignore[list-item]
            assert merkle.verify_consistency(3, 5, root_of(3), root_of(5), proof) is False


def test_no_size_beyond_64_bits_is_believed() -> None:
    leaf = merkle.leaf_hash(b"")
    assert merkle.verify_consistency((1 << 64) - 1, (1 << 64) - 1, leaf, leaf, [])
    assert not merkle.verify_consistency(1 << 64, 1 << 64, leaf, leaf, [])
    node, proof = leaf, []
    for _ in range(65):
        proof.append(leaf)
        node = merkle.node_hash(node, leaf)
    assert not merkle.verify_inclusion(leaf, 0, 1 << 65, proof, node)


def test_growth_from_nothing_shows_nothing() -> None:
    assert not merkle.verify_consistency(0, 0, merkle.EMPTY, merkle.EMPTY, [])
    for size in range(1, 10):
        for proof in ([], [merkle.EMPTY], merkle.prove_consistency(tree(size)[1], 1)):
            assert not merkle.verify_consistency(0, size, merkle.EMPTY, root_of(size), proof)
