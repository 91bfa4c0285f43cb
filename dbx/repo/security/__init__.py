"""Who may do what, and who did.

access         the rights of a token                environments   a credential of one is refused in another
tokens         issued, found again, revoked         uses           events written with a token that has a limit
audit          the trail of who changed tokens, keys, settings and refs
"""
