"""Comparing what two places hold: domains, commits of one domain, root files.

values       what stands where, and how two standings differ
side         a domain at a commit, as one side of a comparison
past         versions and roots at an older commit
trees        the first version at which two histories part
rootfile     root files: written from a domain, and read as one side
between      the comparisons themselves
"""
