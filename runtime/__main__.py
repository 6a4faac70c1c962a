"""`python -m runtime`: the same as `onepath`."""

from runtime.cli import main

main()
