"""Pictures as SVG and HTML: the space as it is written, searched or chosen from."""
