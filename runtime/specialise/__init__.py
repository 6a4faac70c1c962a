"""One search for each of several targets, and the cross table: every network found on every target."""
