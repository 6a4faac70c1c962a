"""Pictures of graphs, as values: what stands in a picture, and where. `runtime/picture` prints them."""
