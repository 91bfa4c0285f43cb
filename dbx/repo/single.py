"""One event by itself, built without what a batch needs: the path of most appends.

Here is only what is right at first sight. Whatever needs a second look, a refusal among it, is left to `Builder`, which
decides alone what may be stored: `build_single` answers None and has changed nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats import canonical
from dbx.formats.envelope import MAX_PAYLOAD_DEPTH, issuer_text
from dbx.model import names, snowflake
from dbx.model.event import RESERVED
from dbx.repo.record import Record, shape_of

if TYPE_CHECKING:
    from dbx.formats.envelope import Actor
    from dbx.model.entropy import Entropy
    from dbx.repo.working import WorkingSet

_SMALL = 16_000
"""Characters; UTF-8 takes at most three bytes for each, so every limit on the parts of a body is far away."""
_NAMES = 4096
_LAST_SEQUENCE = (1 << 12) - 1


class Draft(NamedTuple):
    """An event that is to be appended: texts are canonical, values are those that the texts stand for."""

    type: str
    id: str
    event_type: str
    payload: dict[str, Any]
    payload_text: str
    metadata: dict[str, Any]
    metadata_text: str
    expected_version: int | None


class Single(NamedTuple):
    """An event that was built: the fields of a `Builder` that has built one, but its record is not folded yet."""

    envelopes: list[bytes]
    bodies: list[bytes]
    leaves: list[bytes]
    records: list[Record]
    runs: list[tuple[int, int, int]]
    last_drawn: int
    draft: Draft

    def fold(self) -> None:
        """Lay what the event says over the state of its record: of all that is built, the commit needs that last."""
        draft, record = self.draft, self.records[0]
        record.lay(shape_of(draft.payload), draft.payload_text)
        if draft.metadata:
            record.lay_metadata(shape_of(draft.metadata), draft.metadata_text)


class NameCache:
    """Event types and metadata keys that were found to be fit, so that they are looked at once."""

    __slots__ = ("_event_types", "_keys")

    def __init__(self) -> None:
        self._event_types: set[str] = set()
        self._keys: set[str] = set()

    def knows_event_type(self, name: str) -> bool:
        """Whether this is an event type as it is stored, and not a reserved one."""
        if name not in self._event_types:
            try:
                fit = names.check_event_type(name) == name and name not in RESERVED
            except Invalid:
                fit = False
            if not fit:
                return False
            if len(self._event_types) >= _NAMES:
                self._event_types.clear()
            self._event_types.add(name)
        return True

    def knows_keys(self, metadata: dict[str, Any]) -> bool:
        """Whether every key may be one of metadata."""
        if not metadata.keys() <= self._keys:
            try:
                for key in metadata:
                    names.check_metadata_key(key)
            except Invalid:
                return False
            if len(self._keys) >= _NAMES:
                self._keys.clear()
            self._keys.update(metadata)
        return True


def draft_event(
    cache: NameCache,
    aggregate_type: str,
    aggregate_id: str,
    event_type: str,
    payload: Any,
    metadata: Any,
    expected_version: int | None,
) -> Draft | None:
    """What `build_single` takes, from Python values of any kind; None where something needs a second look."""
    if type(aggregate_type) is not str or type(aggregate_id) is not str or type(event_type) is not str:
        return None
    if type(payload) is not dict or not cache.knows_event_type(event_type):
        return None
    rendered = canonical.render_fast(payload)
    if rendered is None:
        return None
    text, value = rendered
    meta_text = ""
    meta: dict[str, Any] = {}
    if metadata is not None:
        if type(metadata) is not dict or (found := canonical.render_fast(metadata)) is None:
            return None
        if metadata:
            meta_text, meta = found
            if not cache.knows_keys(meta):
                return None
    if len(text) + len(meta_text) > _SMALL:
        return None
    if text.count("{") + text.count("[") + meta_text.count("{") + meta_text.count("[") > MAX_PAYLOAD_DEPTH:
        return None
    return Draft(aggregate_type, aggregate_id, event_type, value, text, meta, meta_text, expected_version)


def build_single(
    draft: Draft,
    working: WorkingSet,
    entropy: Entropy,
    issued_by: Actor | None,
    now_us: int,
    now: str,
    worker: int,
    last_id: int,
) -> Single | None:
    """Build the event on top of the working set; None where `Builder` has to."""
    record = working.find(draft.type, draft.id)
    if record is None:
        try:
            names.check_type(draft.type)
            names.check_id(draft.id)
        except Invalid:
            return None
        record = Record(draft.type, draft.id)
    version = record.version
    expected = draft.expected_version
    if record.archived or (expected is not None and (type(expected) is not int or expected != version)):
        return None
    event_id = snowflake.first_id(now_us, worker, last_id or None)
    if working.is_taken(event_id, event_id) or working.is_staged(event_id, event_id):
        return None
    meta = draft.metadata_text
    salt = urlsafe_b64encode(entropy(12)).decode()
    begin = f'"metadata":{meta},' if meta else ""
    body = f'{{{begin}"payload":{draft.payload_text},"salt":"{salt}"}}'.encode()
    by = "" if issued_by is None else f',"issued_by":{issuer_text(issued_by)}'
    envelope = (
        f'{{"aggregate_id":"{record.id}","aggregate_type":"{record.type}","body":"{sha256(body).hexdigest()}",'
        f'"created_at":"{now}",'
        f'"event_id":"{event_id}","event_type":"{draft.event_type}"{by},"version":{version + 1}}}'
    ).encode()
    leaf = node = sha256(b"\x00" + envelope).digest()
    edge = record.edge
    size = version
    while size & 1:
        node = sha256(b"\x01" + edge.pop() + node).digest()
        size >>= 1
    edge.append(node)
    record.version = version + 1
    record.updated_at = now
    record.added.append(0)
    if not version:
        record.created_at = now
    last = event_id if event_id & _LAST_SEQUENCE != _LAST_SEQUENCE else event_id | _LAST_SEQUENCE
    return Single([envelope], [body], [leaf], [record], [(event_id, 1, 0)], last, draft)
