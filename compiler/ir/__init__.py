"""Operators, expressions over decisions, graphs, their text and their verifier."""
