"""The run folder: which stages are done, from which inputs, with which files.

A stage is current if it was finished from the same inputs and its files are still what it wrote. The
state of each stage is a file of its own, written when the stage is finished: a run that is killed between
two stages finds every earlier one done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runtime.files import FileProblem, canonical_json, read_json, sha256_file, write_atomic, write_json

SCHEMA = "onepath.stage/1"
CHECKPOINTS = "{stage}_checkpoints"
"""The folder of the checkpoints of what has steps of its own."""


def digest(*values: Any) -> str:
    """SHA-256 over values that JSON can say: what a stage depends on."""
    return hashlib.sha256(canonical_json(values)).hexdigest()


@dataclass(frozen=True)
class StageRecord:
    """How a stage was finished: the digest of its inputs, the SHA-256 of each file, the seconds it took."""

    inputs: str
    outputs: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class RunFolder:
    """One run's files below `path`."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def record(self, stage: str) -> StageRecord | None:
        """How a stage was last finished; None if it was not, or its state cannot be read."""
        try:
            payload = read_json(self._state(stage), SCHEMA)
        except FileProblem:
            return None
        return StageRecord(payload["inputs"], payload["outputs"], payload["seconds"])

    def is_current(self, stage: str, inputs: str) -> bool:
        """Whether the stage was finished from these inputs, and its files are still what it wrote."""
        record = self.record(stage)
        if record is None or record.inputs != inputs:
            return False
        return all(self._holds(name, expected) for name, expected in record.outputs.items())

    def _holds(self, name: str, expected: str) -> bool:
        path = self.path / name
        return path.is_file() and sha256_file(path) == expected

    def begin(self, stage: str, inputs: str) -> bool:
        """Note that a stage is begun; whether an earlier attempt at it was begun from the same inputs."""
        path = self.path / "stages" / f"{stage}.begun"
        same = path.is_file() and path.read_text(encoding="utf-8", errors="replace") == inputs
        if not same:
            self._close_accounts(stage)
            write_atomic(path, inputs)
        return same

    def forget(self, stage: str) -> None:
        """Note that a stage is to be done again, from its beginning; what it made stays, and is known to be its own."""
        if (record := self.record(stage)) is not None:
            self._keep(stage, replace(record, inputs=""))
        (self.path / "stages" / f"{stage}.begun").unlink(missing_ok=True)
        if checkpoints := list((self.path / stage).glob(f"**/{CHECKPOINTS.format(stage='*')}")):
            from runtime.checkpoint import drop_checkpoints

            for folder in checkpoints:
                drop_checkpoints(folder)

    def account(self, stage: str, part: str = "", *, resume: bool = True) -> Path:
        """The file that says what a part of a stage spent of its budget; without `resume`, nothing yet."""
        path = self.path / "stages" / f"{stage}{f'.{part}' if part else ''}.spent"
        if not resume:
            path.unlink(missing_ok=True)
        return path

    def _close_accounts(self, stage: str) -> None:
        for path in (self.path / "stages").glob(f"{stage}.*spent"):
            path.unlink(missing_ok=True)

    def finish(self, stage: str, inputs: str, outputs: Iterable[str], seconds: float) -> None:
        """Record that a stage is done; `outputs` are files below the folder."""
        hashes = {name: sha256_file(self.path / name) for name in outputs}
        self._keep(stage, StageRecord(inputs, hashes, round(seconds, 3)))
        self._close_accounts(stage)
        (self.path / "stages" / f"{stage}.begun").unlink(missing_ok=True)

    def seconds(self) -> dict[str, float]:
        """The time of each finished stage."""
        names = sorted(path.stem for path in (self.path / "stages").glob("*.json"))
        records = {name: self.record(name) for name in names}
        return {name: record.seconds for name, record in records.items() if record is not None}

    def _keep(self, stage: str, record: StageRecord) -> None:
        write_json(self._state(stage), asdict(record), SCHEMA)

    def _state(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.json"
