"""The options of the server's command."""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Sequence

from runtime.devices.server.listening import PORTS, address

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command's arguments, read; a message and exit code 2 where they are wrong."""
    own = platform.node().split(".")[0] or "device"
    parser = argparse.ArgumentParser(
        prog="device", description="Serve this machine as a device to Onepath.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--key", type=_name, required=True, help="what clients ask for: the same for devices of one kind")
    add("--name", type=_name, default=own, help="this device's own name; default the host's")
    add("--tracker", type=_address, default="127.0.0.1:9190", help="HOST:PORT of the tracker")
    add("--host", default="127.0.0.1", help="the address to listen at")
    add("--port", type=int, help=f"the port; default the first free from {PORTS[0]}")
    add("--reach", type=_address, help="HOST:PORT where clients reach it, where that is another")
    add("--cores", type=_cores, help="the cores that it may use, as in 2,3; default all")
    add("--expose", action="store_true", help="listen where other machines can connect")
    found = parser.parse_args(given)
    found.cores = found.cores or sorted(os.sched_getaffinity(0))
    return found


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text}: letters, digits, '.', '_' and '-', at most 64, a letter or digit first"
        )
    return text


def _address(text: str) -> tuple[str, int]:
    try:
        return address(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _cores(text: str) -> list[int]:
    own = sorted(os.sched_getaffinity(0))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) in own for part in parts):
        raise argparse.ArgumentTypeError(f"{text}: this process has the cores {','.join(map(str, own))}")
    return sorted({int(part) for part in parts})
