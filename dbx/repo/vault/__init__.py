"""Keys and secrets of a workspace, in its own files.

keyring   data keys, and the DEK that opens them     keys   signing keys     secrets   credentials, sealed or 0600
"""
