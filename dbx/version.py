"""The version, in a module that imports nothing, so that `dbx --version` starts as fast as Python does."""

__version__ = "0.1.0"
