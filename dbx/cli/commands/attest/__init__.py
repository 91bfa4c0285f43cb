"""Verify the domain, and sign who verified what, when, and with which result.

'dbx attest' alone makes an attestation: an in-toto statement in a DSSE envelope, kept in the workspace.
"""

DEFAULT = "_make"
