"""Passes over graphs, each a small pure function, verified before and after by the pipeline."""
