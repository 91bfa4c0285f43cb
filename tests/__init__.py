"""Tests. A package, so that `from tests.vectors import shared` means this one wherever pytest is started."""
