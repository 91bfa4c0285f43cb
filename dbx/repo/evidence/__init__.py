"""What others can check without us: heads of the commit log, signed or not, and proofs against them."""
