"""The processes of a run and the device of each: the one place that knows torch.distributed.

`torchrun` starts the processes, ranks 0, 1, …; rank 0 writes all files. Whatever is said here to be done by all is
called by all at the same places in the same order. One process alone is a group of one: then all of this does nothing.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from runtime.device import cores
from runtime.rank_messages import Messages, RankProblem

TIMEOUT = timedelta(minutes=5)
"""How long one waits for another within a step: a process that was stopped, or a machine that is gone."""
CPU = torch.device("cpu")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """This process, `rank` of `size`, and its device. `precision` is what autocast computes in, float32 for none."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    precision: torch.dtype = torch.float32
    messages: Messages | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    # Shares of a batch

    def own(self, count: int) -> slice:
        """This process's images of `count`."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def weight(self, count: int) -> float:
        """By what a mean over the own images of `count` is multiplied, so that the mean over processes is that of
        all images: 1 where all have as many."""
        own = self.own(count)
        share: float = (own.stop - own.start) * self.size / count
        return share

    def stream(self, name: str) -> str:
        """The name of a random stream of which each process has its own; rank 0 that of a process alone."""
        return name if self.first else f"{name} of rank {self.rank}"

    def autocast(self) -> AbstractContextManager[Any]:
        """Lower precision where the device has it."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    # Done by all

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in its place."""
        if self.size > 1:
            self._reach(lambda: dist.all_reduce(tensor))
        return tensor

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The means over all processes, in one exchange."""
        if self.size == 1 or not tensors:
            return list(tensors)
        flat = self.total(torch.cat([tensor.reshape(-1) for tensor in tensors])).div_(self.size)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        pairs = zip(tensors, parts, strict=True)
        return [torch.empty_like(tensor).copy_(part.view(tensor.shape)) for tensor, part in pairs]

    def totals(self, *numbers: float) -> list[float]:
        """The sums over all processes; on the CPU, whatever the device."""
        if self.size == 1:
            return list(numbers)
        summed: list[float] = self.total(torch.tensor(numbers, dtype=torch.float64)).tolist()
        return summed

    def same(self, value: Value) -> Value:
        """Rank 0's value, one that JSON can say."""
        if self.size == 1:
            return value
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        length = torch.tensor([len(content)])
        self._reach(lambda: dist.broadcast(length, 0))
        content = content if self.first else torch.empty(int(length), dtype=torch.uint8)
        self._reach(lambda: dist.broadcast(content, 0))
        return json.loads(bytes(content.tolist()))  # type: ignore[no-any-return]

    def check_same(self, what: str, value: Any) -> None:
        """See that all have rank 0's value.

        Raises:
            RankProblem: this process has another.
        """
        if self.same(value) != value:
            raise RankProblem(f"{what} of rank {self.rank} is no longer that of rank 0; start the run again")

    def _reach(self, exchange: Callable[[], object]) -> None:
        try:
            exchange()
        except RuntimeError as problem:
            raise self._messages.why(problem) from None

    # While a stage is done

    @contextmanager
    def sharing_cores(self) -> Iterator[None]:
        """Each process of this machine has its share of the cores inside."""
        before = torch.get_num_threads()
        if self.size > 1:
            torch.set_num_threads(max(1, before // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def share(self, stage: str, resume: bool, anew: bool) -> None:
        """Rank 0 calls the others to the stage that it is about to begin."""
        if self.messages is not None:
            self.messages.tell([stage, resume, anew])

    def shared(self) -> Iterator[tuple[str, bool, bool]]:
        """What rank 0 calls the others to, as it comes, until it is done."""
        while (message := self._messages.hear()) is not None:
            yield tuple(message)

    def done(self) -> None:
        """Rank 0 tells the others that this was all."""
        if self.messages is not None:
            self.messages.tell(None)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the others of what ends this process inside."""
        try:
            yield
        except BaseException as problem:
            if self.messages is not None:
                self.messages.failed(self.rank, problem)
                _leave()
            raise

    @property
    def _messages(self) -> Messages:
        assert self.messages is not None, "several processes have messages"
        return self.messages


ALONE = Ranks()
"""One process on the CPU."""


@cache
def joined() -> Ranks:
    """The processes that `torchrun` started, this one among them; else this one alone. On GPUs where there are some.

    Raises:
        RankProblem: another process did not come, or there are fewer GPUs than processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    local = int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else 0
    device = _device(local)
    if size == 1:
        return Ranks(0, 1, device, _precision(device))
    _take_back_cores()
    rank, backend = int(os.environ["RANK"]), "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    try:
        found, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
        # The store outlives processes that `torchrun --max-restarts` starts anew: these need keys of their own.
        store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", found)
        dist.init_process_group(backend, timeout=TIMEOUT, world_size=size, rank=rank, store=store)
    except (RuntimeError, ValueError) as problem:
        raise RankProblem(f"the {size} processes of this run did not find each other ({problem})") from None
    atexit.register(_leave)
    return Ranks(rank, size, device, _precision(device), Messages(store))


def _leave() -> None:
    """Close all connections, which tells whoever waits for this process."""
    with suppress(RuntimeError):
        if dist.is_initialized():
            dist.destroy_process_group()


def _device(local: int) -> torch.device:
    if not torch.cuda.is_available():
        return CPU
    there = torch.cuda.device_count()
    if local >= there:
        raise RankProblem(f"process {local} of this machine has no GPU: there are {there}; start as many")
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device


def _precision(device: torch.device) -> torch.dtype:
    """bfloat16 on GPUs that compute in it: it has float32's range, so that no gradient needs scaling."""
    lower = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if lower else torch.float32


def _take_back_cores() -> None:
    """Undo what `torchrun` does where nobody said otherwise: OMP_NUM_THREADS=1, in this process and its children."""
    if os.environ.get("OMP_NUM_THREADS") == "1":
        del os.environ["OMP_NUM_THREADS"]
        torch.set_num_threads(len(cores()))
