"""See what plugins are still to get, and what failed; try that again, or forget it."""

DEFAULT = "_show"
