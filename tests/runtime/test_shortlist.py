"""What is priced of a kernel: the fastest schedules where they are close, and always the default."""

from __future__ import annotations

import pytest

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel, Step
from runtime.device import host
from runtime.records import Record, key_of
from runtime.shortlist import shortlists

KERNEL = Kernel(((64, 8, 8),), (Step("relu", (), (0,)),))


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        ({}, [0]),
        ({0: 100}, [0]),
        ({1: 100}, [1, 0]),
        ({1: 100, 2: 114, 3: 116}, [1, 2, 0]),
        ({0: 100, 1: 101, 2: 102, 3: 99}, [3, 0, 1]),
        ({0: 900, 1: 104, 2: 103, 3: 102, 4: 101}, [4, 3, 2, 0]),
    ],
)
def test_the_fastest_where_they_are_close_and_the_default(times: dict[int, int], chosen: list[int]) -> None:
    target = host()
    default = candidates(KERNEL, target)[0]
    others = [Schedule.of(default.template, {"vectors": 100 + number}) for number in range(4)]
    pool = [default, *others]
    rows = [Record(KERNEL.signature, key_of(target), pool[index], (time,)) for index, time in times.items()]
    found = shortlists({KERNEL.signature: KERNEL}, target, rows)
    assert found == {KERNEL.signature: [pool[index] for index in chosen]}
