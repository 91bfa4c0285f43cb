"""Make proofs that others verify with nothing but the file and a key.

'dbx verify-proof' verifies them.
"""
