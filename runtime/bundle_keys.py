"""The public keys whose signatures are enough for a bundle to be run: one list per user, as OpenSSH reads it.

The file has the form of `allowed_signers` (ssh-keygen(1)): a name, the namespace, the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.files import FileProblem, read_bytes, write_atomic
from runtime.user_folders import data_folder

NAMESPACE = "onepath-bundle"
KEY_CAP_BYTES = 16 << 10
"""How long a line with a public key may be; one of RSA with 16,384 bits has 2.8 KiB."""
_NAME = re.compile(r"[A-Za-z0-9_@.+-]{1,100}\Z")
"""What needs no quoting in `allowed_signers`, and is no pattern."""
_KEY = re.compile(
    r"(ssh-[a-z0-9-]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:\s|\Z)"
)


@dataclass(frozen=True)
class Key:
    """A listed key: whose it is, its type as SSH names it, and its bytes in base 64."""

    name: str
    kind: str
    data: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(
            hashlib.sha256(base64.b64decode(self.data)).digest()
        ).decode().rstrip("=")


def keys_path() -> Path:
    """The list of keys."""
    return data_folder() / "allowed_signers"


def listed_keys() -> list[Key]:
    """The keys that are listed, in order.

    Raises:
        FileProblem: the list cannot be read, or holds what is no key of this program's.
    """
    path = keys_path()
    if not path.exists():
        return []
    keys = []
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        parts = line.split()
        if len(parts) != 4 or parts[1] != f'namespaces="{NAMESPACE}"' or not _NAME.match(parts[0]):
            raise FileProblem(
                path, f"line {number} is no key of `onepath bundle keys add`", "delete the line"
            )
        keys.append(Key(parts[0], parts[2], parts[3]))
    return keys


def add_key(name: str, file: Path) -> Key:
    """List the public key in `file` under a name.

    Raises:
        FileProblem: it is no public key of SSH, or the name or the key is listed already.
    """
    if not _NAME.match(name):
        raise FileProblem(name, "is no name for a key", "give one of letters, digits and _ @ . + -")
    key = _read_key(name, file)
    keys = listed_keys()
    for other in keys:
        if other.name == name or other.data == key.data:
            way_out = f"take that away first: `onepath bundle keys remove {other.name}`"
            raise FileProblem(file, f"cannot be listed as {name}: {other.name} is listed already", way_out)
    _write([*keys, key])
    return key


def remove_key(name: str) -> None:
    """Take the key of that name from the list.

    Raises:
        FileProblem: there is none.
    """
    keys = listed_keys()
    if name not in [key.name for key in keys]:
        listed = ", ".join(key.name for key in keys) or "none is listed"
        raise FileProblem(name, "is the name of no listed key", f"name one of those: {listed}")
    _write(key for key in keys if key.name != name)


def _read_key(name: str, file: Path) -> Key:
    way_out = "name a public key, such as id_ed25519.pub"
    text = read_bytes(file, way_out)[:KEY_CAP_BYTES].decode(errors="replace").strip()
    found = _KEY.match(text)
    if found is None or len(text.splitlines()) != 1:
        raise FileProblem(file, "is no public key of SSH", way_out)
    kind, data = found.groups()
    try:
        inside = base64.b64decode(data, validate=True)
    except binascii.Error:
        inside = b""
    # The bytes begin with the type again, as a string: four bytes of its length, then it.
    if inside[: 4 + len(kind)] != len(kind).to_bytes(4, "big") + kind.encode():
        raise FileProblem(file, "is a damaged public key", way_out)
    return Key(name, kind, data)


def _write(keys: Iterable[Key]) -> None:
    lines = [f'{key.name} namespaces="{NAMESPACE}" {key.kind} {key.data}\n' for key in keys]
    write_atomic(keys_path(), "".join(lines))
