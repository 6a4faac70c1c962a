"""The two grammars of Onepath, as package data."""
