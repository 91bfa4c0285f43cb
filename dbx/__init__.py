"""dbx: a git for events."""
