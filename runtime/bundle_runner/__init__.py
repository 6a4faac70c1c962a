"""What runs a bundle: `runner.py` of a bundle is these modules in one file (`runtime.bundle_runner.source`)."""
