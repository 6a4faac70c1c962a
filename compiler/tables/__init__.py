"""Latency tables of blocks, measured elsewhere: reading, naming and pricing networks with them; pure."""
