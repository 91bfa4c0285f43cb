"""List, show and rename domains.

'dbx checkout' switches between them, makes and deletes them.
"""
