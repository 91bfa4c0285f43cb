"""Sign the state of the commit log for others to hold on to, and verify what others signed.

'dbx checkpoint' alone makes one: it says how many commits the domain has, and the root over them.
"""

DEFAULT = "_make"
