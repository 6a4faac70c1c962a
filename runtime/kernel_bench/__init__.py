"""The kernels of a bundle one by one: their times, what the machine allows, and the same layers elsewhere."""
