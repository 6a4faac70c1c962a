"""A packed bundle: one `.tar.gz` file that any system opens, and that is read here as from a stranger."""

from runtime.bundle_archive.pack import pack
from runtime.bundle_archive.unpack import inspect, open_bundle, unpack

__all__ = ["inspect", "open_bundle", "pack", "unpack"]
