"""proofs of single events by the library, verifying them, and a package for auditors

Proofs are of events chosen at random from the large domain, against one signed checkpoint. Processor seconds.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, median
from tests.bench.sizes import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_PROOFS = 1000
_WARM_S = 0.05
_VERIFY_S = 2.0
_SIZE_BYTES = 6 * 1024
_RATE = 20_000


def measure(bench: Bench) -> Iterator[Figure]:
    """A proof, its size, a thousand verified, and an export."""
    count, files = large(bench)
    where = bench.repository(count, count // 20, files)
    if not os.path.exists(os.path.join(where, ".dbx", "keys")):
        bench.dbx("key", "generate", cwd=where)
    found = bench.worker(__name__, where, str(count))
    warm = median(found["warm"])
    name = f"{count:,} events"
    yield Figure(f"prove an event, {name}, warm", warm, "s", goal="at most 50 ms", met=warm <= _WARM_S)
    # The first proof from a commit hashes all events of that commit once: here 200,000 of them.
    yield Figure(f"prove an event, {name}, first of a commit", max(found["warm"]), "s")
    yield Figure(f"prove an event, {name}, the first", found["first"], "s")
    size = max(found["sizes"])
    yield Figure("largest proof without a body", size, "B", goal="under 6 KB", met=size < _SIZE_BYTES)
    verified = found["verified"]
    yield Figure(f"verify {_PROOFS:,} proofs", verified, "s", goal="under 2 s", met=verified < _VERIFY_S)
    run = bench.dbx("evidence", "export", bench.path("package"), cwd=where)
    rate = count / run.cpu_seconds
    goal = f"at least {_RATE:,}"
    yield Figure(f"evidence export, {name}, events a second", rate, "", goal=goal, met=rate >= _RATE)


def _time(where: str, count: int) -> dict[str, object]:
    from dbx.formats.proof import decode_proof, encode_proof
    from dbx.model.proof import verify_proof
    from dbx.repo.evidence.checkpoints import sign_checkpoint
    from dbx.repo.evidence.proofs import Prover
    from dbx.repo.repository import Repository
    from dbx.repo.vault.keys import read_known_keys

    repository = Repository(Repository.find(where), clock=lambda: time.time_ns() // 1000)
    domain = repository.domain()
    note = sign_checkpoint(repository, domain).note
    rng = random.Random(11)
    start = time.process_time()
    prover = Prover(domain, note)
    prover.prove_event(rng.randrange(count), body=False)
    first = time.process_time() - start
    prover.prove_event(rng.randrange(count), body=False)
    warm, made = [], []
    for _ in range(_PROOFS):
        position = rng.randrange(count)
        start = time.process_time()
        made.append(prover.prove_event(position, body=False))
        warm.append(time.process_time() - start)
    encoded = [encode_proof(proof) for proof in made]
    keys = [key.vkey for key in read_known_keys(repository).keys]
    start = time.process_time()
    verdicts = [verify_proof(decode_proof(data), keys) for data in encoded]
    verified = time.process_time() - start
    if any(verdict.reason is not None for verdict in verdicts):
        raise SystemExit("a proof does not verify")
    repository.close()
    return {"first": first, "warm": warm, "sizes": [len(data) for data in encoded], "verified": verified}


if __name__ == "__main__":
    print(json.dumps(_time(sys.argv[1], int(sys.argv[2]))))
