"""What several peers do with a model before they can run it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.child import end_with_parent

if TYPE_CHECKING:
    import torch


class CannotConvert(Exception):
    """A peer's converter refused the model; the message is what it said, in one line."""


def convert(command: Sequence[str | Path], folder: Path) -> None:
    """Run a converter in a folder.

    Raises:
        CannotConvert: it failed.
    """
    # A converter would outlive its contender that takes too long, and disturb the others.
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=end_with_parent
    )
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip().splitlines()
        errors = [line for line in said if "error" in line.lower()]
        reason = (errors or said[-1:] or ["it said nothing"])[0].strip()
        tool = next(Path(word).name for word in command if word not in (sys.executable, "-m"))
        raise CannotConvert(f"{tool} ended with code {done.returncode}: {reason[:300]}")


def torch_module(model: Path) -> torch.nn.Module:
    """The network of an ONNX file in PyTorch, for inference: images channels last, in and between layers."""
    import torch

    from compiler.codegen.from_onnx import from_onnx, read_model
    from compiler.nets.network import build_network

    network, weights = from_onnx(read_model(model))
    module = build_network(network).eval()
    module.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return module.requires_grad_(False)
