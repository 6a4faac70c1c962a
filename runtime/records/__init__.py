"""Tuning records: what was measured, kept in one SQLite database that several processes may share.

A record is one schedule of one kernel on one target: its parameters and its measured times. The key is the
kernel's signature, the target, TVM's version and the processor's fingerprint. Commits are synchronous, so
what was acknowledged survives a kill; every row carries a hash of its content, so that damage is found
and named, and what is whole is kept.
"""

from runtime.records.bounds import writer_of
from runtime.records.connection import files_of
from runtime.records.database import Records, Taken, default_path
from runtime.records.losses import Losses
from runtime.records.near import Neighbours
from runtime.records.pack import PACK_FILE, load_pack, merge, read_pack, write_pack
from runtime.records.problems import DamagedRecords, RecordsProblem
from runtime.records.record import (
    ANY_DEVICE,
    COMPANY,
    DIED,
    FAILED,
    Key,
    NetworkRecord,
    PriceRecord,
    Record,
    best_of,
    fastest,
    key_of,
    of_kind,
)
from runtime.records.salvage import Salvaged, salvage

__all__ = [
    "ANY_DEVICE",
    "COMPANY",
    "DIED",
    "FAILED",
    "Key",
    "Record",
    "PriceRecord",
    "NetworkRecord",
    "key_of",
    "of_kind",
    "best_of",
    "fastest",
    "Records",
    "Taken",
    "default_path",
    "RecordsProblem",
    "DamagedRecords",
    "files_of",
    "PACK_FILE",
    "write_pack",
    "read_pack",
    "load_pack",
    "merge",
    "Losses",
    "Salvaged",
    "salvage",
    "Neighbours",
    "writer_of",
]
