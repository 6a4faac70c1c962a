"""Strategies: a strategy is a stage that ends with a network."""
