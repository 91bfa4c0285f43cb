#!/usr/bin/env python3
"""Verify an evidence package of dbx with nothing but Python: python3 verify.py --key VKEY

Every hash is computed again from the lines in data/. Nothing here comes from dbx, and nothing is asked of the network.
Exit status: 0 everything holds, 1 something does not, 2 no key was given or the files cannot be read.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
EMPTY = hashlib.sha256().digest()


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(nodes):
    """RFC 9162 section 2.1.1 over leaf hashes."""
    nodes = list(nodes)
    while len(nodes) > 1:
        pairs = [sha256(b"\1", a, b) for a, b in zip(nodes[::2], nodes[1::2])]
        nodes = pairs + nodes[len(nodes) & ~1 :]
    return nodes[0] if nodes else EMPTY


def trie(items):
    """The index tree over sorted (key, leaf): split at the first bit in which keys differ."""
    if not items:
        return EMPTY
    done, splits, current = [], [], items[0][1]
    for (before, _), (key, leaf) in zip(items, items[1:]):
        d = 256 - (int.from_bytes(before, "big") ^ int.from_bytes(key, "big")).bit_length()
        while splits and splits[-1] > d:
            current = sha256(b"\1", bytes([splits.pop()]), done.pop(), current)
        done.append(current)
        splits.append(d)
        current = leaf
    while splits:
        current = sha256(b"\1", bytes([splits.pop()]), done.pop(), current)
    return current


def climb(key, leaf, path):
    """The root to which a path of [d, sibling] leads from an index leaf; None for a path that cannot be."""
    last = 256
    for d, sibling in path:
        if not 0 <= d < last:
            return None
        last, other = d, bytes.fromhex(sibling)
        bit = key[d >> 3] >> (7 - d % 8) & 1
        leaf = sha256(b"\1", bytes([d]), other, leaf) if bit else sha256(b"\1", bytes([d]), leaf, other)
    return leaf


def index_leaf(kind, name, version, aggregate_root):
    key = sha256(f"{kind}/{name}".encode())
    return key, sha256(b"\0", key, version.to_bytes(8, "big"), aggregate_root)


# Ed25519 (RFC 8032), for verifying only: public values, so nothing needs to take constant time.
def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e, f = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * t1 * t2 * D, 2 * z1 * z2
    g, h, i, j = f - e, d - c, d + c, f + e
    return g * h % P, i * j % P, h * i % P, g * j % P


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def unpack(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def ed25519(public, message, signature):
    a, r = unpack(public), unpack(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or len(signature) != 64 or s >= L:
        return False
    y = 4 * pow(5, P - 2, P) % P
    base = unpack(y.to_bytes(32, "little"))
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, base), add(r, times(k, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def signers(note, vkeys):
    """The names of the keys among `vkeys` that signed a C2SP signed note. Raises ValueError for a false signature."""
    text, _, rest = note.rpartition("\n\n")
    text, found = text + "\n", []
    for vkey in vkeys:
        name, key_id, key = vkey.split("+", 2)
        kind_and_public = base64.b64decode(key, validate=True)
        if sha256(name.encode(), b"\n", kind_and_public)[:4].hex() != key_id:
            raise ValueError(f"the key {name} is damaged: give it as you got it")
        for line in rest.splitlines():
            _, who, blob = line.split(" ")
            raw = base64.b64decode(blob, validate=True)
            if who != name or raw[:4].hex() != key_id:
                continue
            message, signature = text.encode(), raw[4:]
            if kind_and_public[0] == 4:
                seconds = int.from_bytes(signature[:8], "big")
                message, signature = f"cosignature/v1\ntime {seconds}\n{text}".encode(), signature[8:]
            if not ed25519(kind_and_public[1:], message, signature):
                raise ValueError(f"changed: the signature of {name} does not hold")
            found.append(name)
    return found


def lines(path):
    return [line for line in path.read_bytes().split(b"\n") if line] if path.exists() else []


class Package:
    """Says what holds, and what does not."""

    def __init__(self, here):
        self.here, self.data, self.failed = here, here / "data", False

    def say(self, holds, text):
        print("ok      " if holds else "FAILED  ", text)
        self.failed |= not holds

    def files(self):
        wrong = []
        listed = set()
        for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
            for line in lines(self.here / manifest):
                digest, name = line.decode().split("  ", 1)
                listed.add(name)
                path = self.here / name
                if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                    wrong.append(name)
        there = {str(path.relative_to(self.here)) for path in self.data.rglob("*") if path.is_file()}
        wrong += sorted(there - listed)
        self.say(not wrong, f"{len(listed)} files are as they were packed" + "".join(f"; changed: {w}" for w in wrong))

    def log(self, vkeys):
        note = (self.data / "checkpoint.txt").read_text(encoding="utf-8")
        origin, size, encoded = note.split("\n")[:3]
        ids = [bytes.fromhex(line.decode()) for line in lines(self.data / "log-ids.txt")]
        holds = len(ids) == int(size) and root(ids) == base64.b64decode(encoded, validate=True)
        self.say(holds, f"the ids of all {size} commits give the root of the checkpoint of {origin}")
        try:
            names = signers(note, vkeys)
        except ValueError as error:
            self.say(False, str(error))
        else:
            self.say(
                bool(names),
                f"the checkpoint is signed by {', '.join(names)}"
                if names
                else "unknown-key: nobody whom you trust has signed",
            )
        commits, good = {}, 0
        for line in lines(self.data / "commits.ndjson"):
            commit = json.loads(line)
            if commit["seq"] < len(ids) and sha256(b"\0", line) == ids[commit["seq"]]:
                good += 1
            else:
                self.say(False, f"changed: commit {commit['seq']} is not the one in the log")
            commits[commit["seq"]] = commit
        self.say(good == len(commits) > 0, f"{good} of {len(commits)} commits are in the log")
        return ids, commits

    def events(self, commits, scope):
        """The leaves of each aggregate by version, after checking bodies and commits."""
        aggregates, left_out, erased, wrong = {}, set(), set(), 0
        found, by_position = 0, {}
        for line in lines(self.data / "events.ndjson"):
            event = json.loads(line)
            text = event["envelope"].encode()
            envelope = json.loads(text)
            leaf = sha256(b"\0", text)
            name = envelope["aggregate_type"], envelope["aggregate_id"]
            aggregates.setdefault(name, []).append((envelope["version"], leaf))
            by_position[event["position"]] = leaf
            found += 1
            if event["body"] is None:
                left_out.add((name, envelope["version"]))
            elif hashlib.sha256(event["body"].encode()).hexdigest() != envelope["body"]:
                wrong += 1
                self.say(False, f"changed: the body of {'/'.join(name)} version {envelope['version']}")
            elif envelope["event_type"] == "body_erased":
                erased.add((name, json.loads(event["body"])["payload"].get("version")))
        gone = f", {len(left_out & erased)} of them erased for good" if left_out & erased else ""
        text = f"the bodies are those that the envelopes name; {len(left_out)} were left out{gone}"
        self.say(not wrong, f"{found} events: {text}")
        whole = 0
        for commit in commits.values():
            leaves = [by_position.get(commit["position"] + n) for n in range(commit["count"])]
            if None in leaves:
                asked = scope["kind"] == "range" and scope["first"] <= commit["seq"] <= scope["last"]
                if asked or scope["kind"] == "domain":
                    self.say(False, f"missing: events of commit {commit['seq']}")
                continue
            whole += 1
            if root(leaves).hex() != commit["events"]:
                wrong += 1
                self.say(False, f"changed or reordered: the events of commit {commit['seq']}")
        if not wrong:
            self.say(True, f"the events of {whole} commits are all there, in order")
        return aggregates

    def aggregates(self, aggregates, commits, ids, scope):
        if scope["kind"] == "range":
            return
        last = commits.get(len(ids) - 1)
        entries, leaves = {}, []
        for line in lines(self.data / "roots.jsonl")[1:]:
            entry = json.loads(line)
            if isinstance(entry, list):
                entries[entry[0], entry[1]] = entry[2], bytes.fromhex(entry[3])
        if scope["kind"] == "domain":
            leaves = sorted(index_leaf(*name, *entry) for name, entry in entries.items())
            self.say(
                trie(leaves).hex() == last["index"], f"{len(leaves)} aggregates give the index root of the last commit"
            )
        for line in lines(self.data / "proofs.ndjson"):
            proof = json.loads(line)
            name, current = tuple(proof["aggregate"]), proof["current"]
            entries[name] = current["version"], bytes.fromhex(current["root"])
            key, leaf = index_leaf(*name, *entries[name])
            if (climb(key, leaf, current["index"]) or b"").hex() != last["index"]:
                self.say(False, f"changed: {'/'.join(name)} is not in the index of the last commit")
        for name, (version, wanted) in entries.items():
            events = aggregates.get(name, [])
            if [number for number, _ in events] != list(range(1, version + 1)):
                what = "missing" if len(events) < version else "extra or reordered"
                self.say(False, f"{what}: events of {'/'.join(name)}, which has {version}")
            elif root(leaf for _, leaf in events) != wanted:
                self.say(False, f"changed: the events of {'/'.join(name)}")
        for name in aggregates.keys() - entries.keys():
            self.say(False, f"extra: {'/'.join(name)} is not among the aggregates")
        if not self.failed:
            self.say(True, f"the events of {len(entries)} aggregates give their roots")


def main():
    parser = argparse.ArgumentParser(description="Verify an evidence package of dbx.")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY", help="a key as you got it from its owner")
    options = parser.parse_args()
    if not options.key:
        print("give the key of the one who signed: --key VKEY (not from this package: as you got it from its owner)")
        return 2
    package = Package(Path(__file__).resolve().parent)
    try:
        scope = json.loads((package.data / "scope.json").read_bytes())
        package.files()
        ids, commits = package.log(options.key)
        aggregates = package.events(commits, scope)
        package.aggregates(aggregates, commits, ids, scope)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        print("FAILED   the package cannot be read:", re.sub(r"\s+", " ", str(error))[:200])
        return 1
    print("NOT verified" if package.failed else "verified")
    return 1 if package.failed else 0


if __name__ == "__main__":
    sys.exit(main())
