"""The two files of a package that people read: README.txt, and report.html with the package's data inside."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.formats.base64text import encode_base64

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REPORT_BYTES = 32 << 20
"""The most data that is put into one page."""
_PLACE = "__EVIDENCE__"


def fill_report(template: str, payload: Mapping[str, bytes]) -> str:
    """The page with the files of data/ inside, as one JSON object of texts by name.

    "<" is escaped, so that no text can end the element that holds it.
    """
    texts = {name.removeprefix("data/"): data.decode() for name, data in payload.items()}
    data = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    for tag in ("script", "style"):
        # The page's policy names its own script and style by their hashes: nothing else in it can run.
        inner = template.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        template = template.replace(f"__{tag.upper()}_HASH__", encode_base64(sha256(inner.encode()).digest()), 1)
    before, place, after = template.partition(_PLACE)
    if not place:
        raise ValueError("the template has no place for the evidence")
    return before + data + after


def readme(origin: str, size: int, *, report: bool) -> str:
    """What an auditor does with the package."""
    page = (
        "Open report.html in a browser. It needs no network, computes every hash again, and asks you for the key.\n"
        if report
        else "There is no report.html: this is more than one page can show.\n"
    )
    return f"""Evidence from a domain of dbx, an append-only repository of events.

Log      {origin}
Size     {size} commits

TO VERIFY

You need the public key of the one who signed: one line of text, a "vkey". Get it from its owner on another way
than this package; data/keys.txt says which one it should be, and proves nothing.

{page}
Or, with nothing but Python 3:

    python3 verify.py --key 'name+0a1b2c3d+A...'

It says line by line what holds, then "verified" or "NOT verified".

WHAT IS IN data/

checkpoint.txt    the size and root of the log, signed (c2sp.org/tlog-checkpoint)
log-ids.txt       the id of every commit, a line each: the leaves of the log (RFC 9162)
commits.ndjson    commits, as they are stored; a commit's id is SHA-256 of a zero byte and its line
events.ndjson     events: the envelope, the body (null where it was left out), and the position in the log
roots.jsonl       every aggregate with its version and root, if this is about a whole domain
proofs.ndjson     a proof for each aggregate, if this is about some of them
schemas/          the rules that the events were checked against
scope.json        what was asked for

The manual page dbx-format(5) says what is hashed how. The package is a BagIt bag (RFC 8493).
"""
