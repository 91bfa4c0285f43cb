"""Hand evidence to auditors: events, proofs, keys, and all they need to verify without dbx."""
