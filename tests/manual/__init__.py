"""What manual pages show is what happens."""
