"""Data sets: one module a source, all of them giving a `Dataset` of uint8 images in memory."""
