"""What is taken whole is what would be taken event by event, and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest

from dbx.repo.check.blocks import BlockReader, read_slowly

TIME = "2026-11-23T07:42:00.123456Z"
BODY = b'{"payload":{"a":1},"salt":"AAECAwQFBgcICQoL"}'


def envelope(version: int, time: str = TIME) -> bytes:
    return (
        f'{{"aggregate_id":"o-17","aggregate_type":"order","body":"{sha256(BODY).hexdigest()}","created_at":"{time}",'
        f'"event_id":"{100 + version}","event_type":"placed","version":{version}}}\n'
    ).encode()


def block(count: int, time: str = TIME) -> tuple[bytes, bytes]:
    return b"".join([envelope(version, time) for version in range(1, count + 1)]), (BODY + b"\n") * count


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_block_that_is_right_is_taken_whole(count: int) -> None:
    columns = BlockReader().read(*block(count))
    assert columns is not None
    assert list(columns.times) == [TIME] * count


# As many lines in each as there are events makes a column that has the right length.
@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_time_that_breaks_its_line_is_not_taken(count: int, times: int) -> None:
    envelopes, bodies = block(count, "\n".join([TIME] * times))
    assert read_slowly(envelopes, bodies).faults
    assert BlockReader().read(envelopes, bodies) is None


@pytest.mark.parametrize("time", ["", TIME[:-1], TIME + "\n", "\n" + TIME[:-1], TIME[:-1] + "\n", TIME.lower()])
def test_a_time_that_is_none_is_not_taken(time: str) -> None:
    envelopes, bodies = block(2, time)
    assert read_slowly(envelopes, bodies).faults
    assert BlockReader().read(envelopes, bodies) is None


def test_a_hash_that_is_no_text_is_not_taken() -> None:
    envelopes, bodies = block(2)
    digest = sha256(BODY).hexdigest().encode()
    envelopes = envelopes.replace(digest, digest[:-1] + b"\xff", 1)
    assert read_slowly(envelopes, bodies).faults
    assert BlockReader().read(envelopes, bodies) is None
