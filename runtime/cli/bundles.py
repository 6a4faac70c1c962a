"""Commands about bundles: run, verify, inspect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.bench import Cores, Threads, core_numbers
from runtime.cli.common import Answer, AnswerFormat, command, write_json

app = typer.Typer(
    help="Run, verify and inspect bundles.", no_args_is_help=True, pretty_exceptions_enable=False
)
Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder of a bundle")]


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
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Run a bundle on images or arrays by its own runner, which needs numpy and TVM's runtime libraries only.

    Images and uint8 arrays are preprocessed as the manifest says; float32 arrays are given to the network as they are.
    A classifier's labels are printed with their probabilities, of any other output its shape, figures and first values.

    Example: onepath bundle run runs/quickstart/bundle shirt.png --threads 1 --cores 0

    Example: onepath bundle run runs/model/bundle x.npy --out y.npy
    """
    from runtime.bundle import run_bundle

    options = [f"--threads={threads}"] if threads is not None else []
    options += [f"--cores={','.join(map(str, core_numbers(cores)))}"] if cores is not None else []
    options += [f"--out={out}"] if out is not None else []
    options += ["--force"] if force else []
    options += ["--json"] if form is Answer.JSON else []
    code, answer, errors = run_bundle(bundle, [*options, "--", *inputs])
    sys.stdout.write(answer)
    sys.stderr.write(errors)
    if code:
        raise typer.Exit(code)


@command
def verify(bundle: Folder, form: AnswerFormat = Answer.TEXT) -> None:
    """Compare every file of a bundle with its manifest; nothing is loaded.

    Example: onepath bundle verify runs/quickstart/bundle
    """
    from runtime.bundle import digest
    from runtime.bundle import verify as check

    checked = check(bundle)
    if form is Answer.JSON:
        write_json({"bundle": str(bundle), "files": len(checked.manifest.files), "digest": digest(checked)})
    else:
        print(f"{bundle}: {len(checked.manifest.files)} files are as its manifest says")


@command
def inspect(bundle: Folder) -> None:
    """Print the manifest of a bundle: target, input and output, labels, versions, provenance.

    Example: onepath bundle inspect runs/quickstart/bundle
    """
    from dataclasses import asdict

    from runtime.bundle import read_manifest

    write_json(asdict(read_manifest(bundle)))


for function in (run, verify, inspect):
    app.command()(function)
