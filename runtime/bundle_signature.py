"""Signatures of bundles: SSH's, over the bytes of the manifest, made and checked by the system's `ssh-keygen`.

The manifest holds the SHA-256 of every other file, so its signature is that of the bundle. The format is that of
OpenSSH's PROTOCOL.sshsig, in the namespace `onepath-bundle`: a signature of anything else is none of a bundle.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from runtime.bundle import Bundle
from runtime.bundle_keys import NAMESPACE, keys_path, listed_keys
from runtime.bundle_runner.manifest import MANIFEST, UNLISTED
from runtime.files import FileProblem, write_atomic

SIGNATURE = UNLISTED[0]
CHECK_S = 20.0
"""How long `ssh-keygen` may take to check a signature."""


def sign(bundle: Bundle, key: Path) -> Path:
    """Sign a bundle with a private key, or with the agent's where `key` is a public one; the signature's file.

    `ssh-keygen` asks for the passphrase by itself, on the terminal.

    Raises:
        FileProblem: `ssh-keygen` is missing or cannot sign with it, or the place cannot be written.
    """
    if not key.is_file():
        raise FileProblem(key, "is no file", "name a key that `ssh-keygen -t ed25519` made")
    done = _ssh_keygen(["sign", "-n", NAMESPACE, "-f", str(key)], bundle.manifest_bytes, None)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise FileProblem(key, f"cannot sign ({_last_line(done.stderr)})", "name a private key of SSH")
    return write_atomic(bundle.folder / SIGNATURE, done.stdout)


def signer(bundle: Bundle) -> str:
    """By which listed key a bundle is signed: its name, or "" where it is not signed, or by none of them.

    Raises:
        FileProblem: it has a signature and keys are listed, and `ssh-keygen` is missing.
    """
    signature, names = bundle.unlisted.get(SIGNATURE), [key.name for key in listed_keys()]
    if signature is None or not names:
        return ""
    with TemporaryDirectory(prefix="onepath-") as scratch:
        file = write_atomic(Path(scratch) / SIGNATURE, signature)
        given = ["-f", str(keys_path()), "-s", str(file)]
        found = _ssh_keygen(["find-principals", *given], b"").stdout.decode(errors="replace").splitlines()
        for name in [name for name in found if name in names]:
            check = ["verify", *given, "-n", NAMESPACE, "-I", name]
            if _ssh_keygen(check, bundle.manifest_bytes).returncode == 0:
                return name
    return ""


def signature_state(bundle: Bundle) -> str:
    """What there is to say of a bundle's signature, in words.

    Raises:
        FileProblem: it has one, and `ssh-keygen` is missing.
    """
    if SIGNATURE not in bundle.unlisted:
        return "not signed"
    name = signer(bundle)
    if name:
        return f"signed by {name}"
    with TemporaryDirectory(prefix="onepath-") as scratch:
        file = write_atomic(Path(scratch) / SIGNATURE, bundle.unlisted[SIGNATURE])
        done = _ssh_keygen(["check-novalidate", "-n", NAMESPACE, "-s", str(file)], bundle.manifest_bytes)
    key = done.stdout.decode(errors="replace").strip().rpartition(" ")[2]
    if done.returncode:
        return f"signed, but its signature ({SIGNATURE}) is damaged, or of another {MANIFEST}"
    return (
        f"signed with a key that is not listed, {key}" if key.isprintable() else "signed with an unknown key"
    )


def _ssh_keygen(
    arguments: Sequence[str], message: bytes, seconds: float | None = CHECK_S
) -> subprocess.CompletedProcess[bytes]:
    """What `ssh-keygen -Y` says of a message.

    Raises:
        FileProblem: it is not installed, or takes too long.
    """
    command = ["ssh-keygen", "-Y", *arguments]
    try:
        return subprocess.run(command, input=message, capture_output=True, check=False, timeout=seconds)
    except FileNotFoundError:
        way_out = "install OpenSSH's client (Debian: openssh-client)"
        raise FileProblem("ssh-keygen", "is needed for signatures and is not installed", way_out) from None
    except subprocess.TimeoutExpired:
        raise FileProblem("ssh-keygen", f"gave no answer within {seconds:g} s", "try again") from None


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "ssh-keygen said nothing"
