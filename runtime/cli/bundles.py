"""Commands about bundles: run them, look into them, pack them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dsl.suggest import counted
from runtime.cli import bundle_trust
from runtime.cli.bench import Cores, Threads, Trust, core_numbers
from runtime.cli.bundle_trust import Folder
from runtime.cli.common import NO, Answer, AnswerFormat, command, write_answer, write_json

app = typer.Typer(
    help="Run bundles, look into them, pack, sign and trust them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder of a bundle, or a packed one")]


@command
def run(
    bundle: Folder,
    inputs: Annotated[list[str], typer.Argument(metavar="ARRAY.npy|IMAGE.png", help="what to run it on")],
    threads: Threads = None,
    cores: Cores = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.npy", help="write the outputs, as the network gives them"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file of --out")] = False,
    trust: Trust = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Run a bundle on images or arrays by its own runner, which needs numpy and TVM's runtime libraries only.

    Images and uint8 arrays are preprocessed as the manifest says; float32 arrays are given to the network as they are.
    A classifier's labels are printed with their probabilities, of any other output its shape, figures and first values.

    A bundle that was not built here is run where its signer's key is listed, or with --trust.

    Example: onepath bundle run runs/quickstart/bundle shirt.png --threads 1 --cores 0

    Example: onepath bundle run runs/model/bundle x.npy --out y.npy
    """
    from runtime.bundle import run_verified
    from runtime.bundle_trust import trusted

    verified = trusted(bundle, trust)
    options = [f"--threads={threads}"] if threads is not None else []
    options += [f"--cores={','.join(map(str, core_numbers(cores)))}"] if cores is not None else []
    options += [f"--out={out}"] if out is not None else []
    options += ["--force"] if force else []
    options += ["--json"] if form is Answer.JSON else []
    code, answer, errors = run_verified(verified, [*options, "--", *inputs])
    sys.stdout.write(answer)
    sys.stderr.write(errors)
    if code:
        raise typer.Exit(code)


@command
def verify(bundle: Bundle, form: AnswerFormat = Answer.TEXT) -> None:
    """Compare every file of a bundle with its manifest, and say whether it would be run; nothing is loaded.

    The folder may be a standalone network's, whose files are compared alone.

    Example: onepath bundle verify runs/quickstart/bundle

    Example: onepath bundle verify runs/quickstart/standalone
    """
    from runtime.bundle_archive import open_bundle
    from runtime.bundle_signature import signature_state
    from runtime.bundle_trust import standing
    from runtime.standalone_folder import is_standalone

    if is_standalone(bundle):
        _verify_standalone(bundle, form)
        return
    found = open_bundle(bundle)
    why, signature, files = standing(found), signature_state(found), len(found.manifest.files)
    if form is Answer.JSON:
        state = {"trusted": bool(why), "why": why, "signature": signature}
        write_json({"bundle": str(bundle), "files": files, "digest": found.digest, **state})
    else:
        are = "is" if files == 1 else "are"
        print(f"{bundle}: {counted(files, 'file')} {are} as its manifest says, {found.digest}")
        print(f"it is {why or f'{signature}, and was not built here: it is run with --trust alone'}")


def _verify_standalone(folder: Path, form: Answer) -> None:
    from runtime.standalone_folder import verify_standalone

    found = verify_standalone(folder)
    files = len(found.manifest["files"])
    if form is Answer.JSON:
        write_json({"standalone": str(folder), "files": files, "digest": found.digest})
    else:
        print(f"{folder}: {files} files are as its manifest says, {found.digest}")
        print("it is a standalone network, which is linked into programs: whose it is, nothing here can tell")


@command
def inspect(bundle: Bundle, form: AnswerFormat = Answer.TEXT) -> None:
    """Show what is in a bundle: target, input and output, labels, versions, provenance, files; JSON is its manifest.

    The folder may be a standalone network's.

    Example: onepath bundle inspect runs/quickstart/bundle
    """
    from dataclasses import asdict

    from runtime.bundle_archive import open_bundle
    from runtime.bundle_text import bundle_lines, standalone_lines
    from runtime.standalone_folder import is_standalone, verify_standalone

    if is_standalone(bundle):
        standalone = verify_standalone(bundle)
        if form is Answer.JSON:
            write_json(dict(standalone.manifest))
        else:
            print("\n".join(standalone_lines(standalone)))
        return
    found = open_bundle(bundle)
    if form is Answer.JSON:
        write_json(asdict(found.manifest))
    else:
        print("\n".join(bundle_lines(found)))


@command
def pack(
    bundle: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="BUNDLE.tar.gz, or .onepath")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file")] = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Pack a bundle into one file: the same bundle gives the same bytes.

    Example: onepath bundle pack runs/quickstart/bundle --out quickstart.tar.gz
    """
    from runtime.bundle_archive import pack as write

    packed = write(bundle, out, force=force)
    answer = {"packed": str(packed), "bytes": packed.stat().st_size}
    write_answer(answer, form)


@command
def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a packed bundle")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="the folder to make")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the bundle that is there")] = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Unpack a bundle, every file of it compared with its manifest; a file that is not what it says leaves nothing.

    Example: onepath bundle unpack quickstart.tar.gz --out quickstart
    """
    from runtime.bundle_archive import unpack as read
    from runtime.bundle_trust import standing

    found = read(file, out, force=force)
    answer = {"bundle": str(found.folder), "files": len(found.manifest.files), "digest": found.digest}
    write_answer({**answer, "trusted": standing(found) or "no: it is run with --trust alone"}, form)


@command
def diff(
    one: Annotated[Path, typer.Argument(metavar="A", help="a bundle, or a packed one")],
    other: Annotated[Path, typer.Argument(metavar="B", help="another")],
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Say what differs between two bundles: fields of their manifests, and files; 1 where something does.

    Example: onepath bundle diff runs/quickstart/bundle quickstart.tar.gz
    """
    from runtime.bundle_archive import open_bundle
    from runtime.bundle_diff import difference_lines, differences

    found = differences(open_bundle(one), open_bundle(other))
    if form is Answer.JSON:
        write_json({"equal": not found, "differences": found})
    else:
        print("\n".join(difference_lines(found)) or "they are the same")
    if found:
        raise typer.Exit(NO)


for function in (run, verify, inspect, pack, unpack, diff, bundle_trust.trust, bundle_trust.sign):
    app.command()(function)
app.add_typer(bundle_trust.keys, name="keys")
