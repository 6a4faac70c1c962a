"""What touches the world: data, devices, tuning, search, training, bundles, benchmarks, the command line."""
