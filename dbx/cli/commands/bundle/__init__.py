"""Carry a history in one file: make it, check it, take it in.

A bundle is what clone, push and pull exchange, for where no network reaches.
"""
