"""A git for events: an append-only, verifiable record of what happened, as plain files.

Run 'dbx help COMMAND' for its manual page, 'dbx help tutorial' to start.
"""

ALIASES = {"commit": ("aggregate", "commit"), "reset": ("aggregate", "clear")}
