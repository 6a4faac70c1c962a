"""Samplers: which network to judge next, learnt from those that were judged.

`ask` gives a network, `tell` its score; whoever calls brings the score, of a supernet, a table or a function.
"""
