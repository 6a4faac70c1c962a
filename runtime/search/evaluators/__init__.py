"""What judges networks: a supernet, a table, a function."""
