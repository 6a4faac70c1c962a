"""Checkpoints: one file each, written atomically, with a checksum; the last two are kept.

A checkpoint is a safetensors file whose metadata holds, as JSON, everything that is no tensor. The newest
one whose checksum holds is read; a damaged one is passed over, with a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runtime.files import FileProblem, read_tensors, write_tensors

SCHEMA = "onepath.checkpoint/1"
KEPT = 2


@dataclass(frozen=True)
class State:
    """What a stage is made of at one step: tensors by name, and numbers as JSON has them."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


def save_checkpoint(folder: Path, step: int, state: State) -> Path:
    """Write the state after `step` steps, then drop all but the last two checkpoints.

    Raises:
        FileProblem: the disk is full or the folder cannot be written; earlier checkpoints still stand.
    """
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in state.tensors.items()}
    metadata = {"step": str(step), "numbers": json.dumps(state.numbers, allow_nan=False)}
    path = write_tensors(_path(folder, step), arrays, SCHEMA, metadata)
    for old in _all(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> tuple[int, State, tuple[str, ...]] | None:
    """The step and state of the newest sound checkpoint, and messages about damaged ones; None if there is none.

    Raises:
        FileProblem: there are checkpoints, and all of them are damaged.
    """
    problems: list[FileProblem] = []
    for path in reversed(_all(folder)):
        try:
            arrays, metadata = read_tensors(path, SCHEMA)
            state = State(
                {name: torch.from_numpy(array) for name, array in arrays.items()},
                json.loads(metadata["numbers"]),
            )
            return int(metadata["step"]), state, tuple(f"{problem}" for problem in problems)
        except FileProblem as problem:
            problems.append(problem)
    if problems:
        raise FileProblem(folder, f"holds no sound checkpoint ({problems[0]})", "start the run anew")
    return None


def drop_checkpoints(folder: Path) -> None:
    """Delete all checkpoints of a folder."""
    for path in _all(folder):
        path.unlink(missing_ok=True)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def laid_out(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of `tensors` in the memory layouts of those of the same name."""
    return {name: torch.empty_like(like[name]).copy_(tensor) for name, tensor in tensors.items()}


def _path(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:09d}.safetensors"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.safetensors"))
