"""References from one aggregate to another: `#id`, `type#id`, `domain#type#id` (EventDBX §3.8)."""

from __future__ import annotations

from typing import NamedTuple

from dbx.errors import Invalid
from dbx.model import names

_FORMS = "write '#id', 'type#id' or 'domain#type#id'"


class Reference(NamedTuple):
    """The aggregate that a reference names."""

    domain: str
    aggregate_type: str
    aggregate_id: str

    def __str__(self) -> str:
        """The one spelling that is stored."""
        return f"{self.domain}#{self.aggregate_type}#{self.aggregate_id}"


def parse_reference(text: object, *, domain: str, aggregate_type: str) -> Reference:
    """The aggregate that `text` names; what it leaves out is `domain` and `aggregate_type`, those of who refers.

    Blanks around it are cut and the domain is taken in lower case; the id is kept as it is. Raises Invalid, which does
    not repeat the text.
    """
    if not isinstance(text, str):
        raise Invalid("a reference must be text", hint=_FORMS)
    parts = text.strip().split("#")
    if not 2 <= len(parts) <= 3 or not parts[-1] or (len(parts) == 3 and not (parts[0] and parts[1])):
        raise Invalid("the text is not a reference", hint=_FORMS)
    target_type = parts[-2] or aggregate_type
    target_domain = parts[0].lower() if len(parts) == 3 else domain
    try:
        return Reference(
            names.check_domain_name(target_domain), names.check_type(target_type), names.check_id(parts[-1])
        )
    except Invalid as error:
        # The name may be personal; which part is wrong is enough.
        part = "an id" if error.message.startswith("aggregate id") else "a domain or type"
        raise Invalid(f"the reference has {part} that breaks the rules for names", hint=_FORMS) from None
