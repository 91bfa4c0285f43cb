"""Take in what other tools exported. Ids, times and actors are kept; all of it is one commit."""
