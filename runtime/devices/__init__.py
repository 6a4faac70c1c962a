"""Remote devices: a server on each, a tracker that knows them, sessions in which workers run code there."""
