"""Print the index root: one hash over every aggregate's history."""

DEFAULT = "_show"
