"""Caps on a text, checked before anything is built from it, so that a hostile file costs little.

At 256 KiB the parser takes about a second; its speed is about 300 KiB/s. The cap on the depth of the tree
lets every walk over it recurse: at 128 levels and five frames a level it stays under Python's 1,000.
"""

MAXIMUM_BYTES = 256 * 1024
MAXIMUM_TOKENS = 30_000
MAXIMUM_NESTING = 64
MAXIMUM_TREE_DEPTH = 128
MAXIMUM_DIGITS = 40
MAXIMUM_EXPONENT = 40
MAXIMUM_SYNTAX_ERRORS = 20
MAXIMUM_PROBLEMS = 100
