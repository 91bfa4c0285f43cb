"""Names of commits, and moving them.

tags   names that people give     undo   taking back the last move of a ref     kept   what a ref keeps
"""
