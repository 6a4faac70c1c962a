"""Commands about whose bundles are run: trust one, sign one, list keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.common import Answer, AnswerFormat, command, write_json

keys = typer.Typer(
    help="The keys whose signatures are enough for a bundle to be run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder of a bundle")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="whose key it is")]


@command
def trust(
    bundle: Folder,
    remove: Annotated[bool, typer.Option("--remove", help="trust it no longer")] = False,
) -> None:
    """Have a bundle run from now on, wherever it lies, as long as not a byte of it changes.

    Example: onepath bundle trust quickstart
    """
    from runtime.bundle import verify
    from runtime.bundle_trust import forget, remember

    found = verify(bundle)
    if remove:
        forget(found)
    else:
        remember(found, "trusted")
    print(f"{bundle}: {'no longer trusted' if remove else 'trusted'}, {found.digest}")


@command
def sign(
    bundle: Folder,
    key: Annotated[Path, typer.Option("--key", metavar="KEY", help="a private key of SSH")],
) -> None:
    """Sign a bundle with a key of SSH; the signature lies in it, as manifest.json.sig.

    Example: onepath bundle sign runs/quickstart/bundle --key ~/.ssh/id_ed25519
    """
    from runtime.bundle import verify
    from runtime.bundle_signature import sign as write

    print(f"signed: {write(verify(bundle), key)}")


@command
def add(
    name: Name, key: Annotated[Path, typer.Argument(metavar="KEY.pub", help="a public key of SSH")]
) -> None:
    """List a public key: bundles that are signed with it are run.

    Example: onepath bundle keys add ana ana_ed25519.pub
    """
    from runtime.bundle_keys import add_key

    added = add_key(name, key)
    print(f"{added.name}: {added.kind} {added.fingerprint}")


@command
def show(form: AnswerFormat = Answer.TEXT) -> None:
    """Show the keys that are listed.

    Example: onepath bundle keys list
    """
    from runtime.bundle_keys import listed_keys

    found = [{"name": key.name, "type": key.kind, "fingerprint": key.fingerprint} for key in listed_keys()]
    if form is Answer.JSON:
        write_json(found)
    else:
        print("\n".join(" ".join(key.values()) for key in found) or "no key is listed")


@command
def remove(name: Name) -> None:
    """Take a key from the list: bundles that are signed with it are no longer run.

    Example: onepath bundle keys remove ana
    """
    from runtime.bundle_keys import remove_key

    remove_key(name)
    print(f"{name} is no longer listed")


keys.command()(add)
keys.command("list")(show)
keys.command()(remove)
