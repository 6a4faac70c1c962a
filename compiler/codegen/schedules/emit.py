"""Writing TIR by hand: statements in order, loops, vectors and registers.

The templates write unrolled, vectorised code and leave to LLVM what it does well: keeping a small local
buffer in registers, hoisting loads, ordering instructions. Buffers are flat; offsets count fp32 values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from compiler.codegen.tvm_api import Expr, Statement, ir, statements, tirx

FLOAT = "float32"
SERIAL, PARALLEL = 0, 1
CACHE_LINE = 64


def vector_type(lanes: int, element: str = FLOAT) -> str:
    """The name of the type of a vector, or of a scalar."""
    return element if lanes == 1 else f"{element}x{lanes}"


def integer(value: int) -> Expr:
    """A constant index."""
    return tirx.const(value, "int32")


def number(value: float, lanes: int = 1) -> Expr:
    """A constant in every lane."""
    return broadcast(tirx.const(value, FLOAT), lanes)


def broadcast(value: Expr, lanes: int) -> Expr:
    """One value in every lane."""
    return value if lanes == 1 else tirx.Broadcast(value, lanes)


def _place(offset: Expr, lanes: int) -> Expr:
    start = integer(offset) if isinstance(offset, int) else offset
    return start if lanes == 1 else tirx.Ramp(start, integer(1), lanes)


def load(buffer: Expr, offset: Expr, lanes: int = 1) -> Expr:
    """`lanes` neighbouring values."""
    return tirx.BufferLoad(buffer, [_place(offset, lanes)])


def address(buffer: Expr, offset: Expr) -> Expr:
    """A pointer into the buffer."""
    return tirx.address_of(load(buffer, offset))


@dataclass(frozen=True, slots=True)
class Register:
    """A vector variable."""

    emitter: Emitter
    buffer: Expr
    lanes: int

    def get(self) -> Expr:
        """Its value now.

        A scalar, all that there is in C, gets a name: TVM's C takes reads of it within `max` for the same value,
        whatever was written in between.
        """
        value = load(self.buffer, 0)
        return self.emitter.let(value) if self.lanes == 1 else value

    def set(self, value: Expr) -> None:
        """Give it another value."""
        self.emitter.store(self.buffer, 0, value)


@dataclass(frozen=True, slots=True)
class Clock:
    """POSIX `clock_gettime(CLOCK_MONOTONIC)`: about 25 ns a reading on Linux."""

    emitter: Emitter
    buffer: Expr

    def read(self) -> Expr:
        """Nanoseconds from some fixed moment."""
        where = load(self.buffer, 0)
        call = tirx.call_extern("int32", "clock_gettime", _CLOCK_MONOTONIC, tirx.address_of(where))
        self.emitter.add(statements.Evaluate(call))
        return self.emitter.let(where * tirx.const(10**9, "int64") + load(self.buffer, 1))

    def read_into(self, times: Expr, index: Expr) -> None:
        """Store the time."""
        self.emitter.store(times, index, self.read())


_CLOCK_MONOTONIC = 1
_CPU = 1
"""DLPack's number of the device type."""
_READ, _SECOND_LEVEL, _DATA = 0, 2, 1
STAYS_IN_PLACE = "disable_lower_builtin"
_IN_PLACE = {STAYS_IN_PLACE: tirx.const(True, "bool")}
"""Keeps TVM from moving a small buffer from the stack to its pool of workspaces."""


def call(function: Expr, arguments: Sequence[Expr]) -> Expr:
    """Call a kernel's function; the result is 0, else the code of a failed parallel launch."""
    return ir.Call(function, list(arguments), ret_ty="int32")


class Emitter:
    """Collects statements; `loop` and `when` nest them. Without `hints` it prefetches nothing: C has no word for it."""

    def __init__(self, *, hints: bool = True) -> None:
        self._hints = hints
        self._blocks: list[list[Statement]] = [[]]
        self._names = count()

    def add(self, statement: Statement) -> None:
        """Append a statement."""
        self._blocks[-1].append(statement)

    def store(self, buffer: Expr, offset: Expr, value: Expr, lanes: int = 1) -> None:
        """Write `lanes` neighbouring values."""
        self.add(statements.BufferStore(buffer, value, [_place(offset, lanes)]))

    def call(self, function: Expr, arguments: Sequence[Expr]) -> None:
        """Call a function of the same module."""
        self.add(statements.Evaluate(call(function, arguments)))

    def prefetch(self, buffer: Expr, offset: Expr) -> None:
        """Ask for a cache line to be brought to the second-level cache; harmless beyond the buffer's end."""
        if not self._hints:
            return
        where = tirx.address_of(load(buffer, offset))
        hint = [integer(value) for value in (_READ, _SECOND_LEVEL, _DATA)]
        self.add(statements.Evaluate(ir.Call("tirx.prefetch", [where, *hint], ret_ty="void")))

    def let(self, value: Expr) -> Expr:
        """Name a value, so that using it twice computes it once."""
        if isinstance(value, int | float):
            return value
        variable = tirx.Var(f"v{next(self._names)}", value.ty)
        self.add(statements.Bind(variable, value))
        return variable

    def register(self, value: Expr, lanes: int) -> Register:
        """A vector that can be written again: a buffer small enough for LLVM to keep in a register."""
        buffer = tirx.decl_buffer((1,), vector_type(lanes), f"r{next(self._names)}")
        self.add(statements.AllocBuffer(buffer, _IN_PLACE))
        register = Register(self, buffer, lanes)
        register.set(value)
        return register

    def workspace(self, size: int) -> Expr:
        """A large buffer of fp32 values, from the pool of TVM's runtime: kept from one run to the next."""
        buffer = tirx.decl_buffer((size,), FLOAT, f"b{next(self._names)}")
        self.add(statements.AllocBuffer(buffer))
        return buffer

    def clock(self) -> Clock:
        """A clock that the written code can read."""
        buffer = tirx.decl_buffer((2,), "int64", f"t{next(self._names)}")
        self.add(statements.AllocBuffer(buffer, _IN_PLACE))
        return Clock(self, buffer)

    @contextmanager
    def loop(self, extent: Expr, start: Expr = 0, *, parallel: bool = False) -> Iterator[Expr]:
        """A loop; the value is its index, a plain number where the loop has one turn."""
        if isinstance(extent, int) and extent == 1:
            yield start
            return
        variable = tirx.Var(f"i{next(self._names)}", "int32")
        self._blocks.append([])
        yield variable
        first, turns = (integer(x) if isinstance(x, int) else x for x in (start, extent))
        body = sequence(self._blocks.pop())
        self.add(statements.For(variable, first, turns, PARALLEL if parallel else SERIAL, body))

    @contextmanager
    def when(self, condition: Expr) -> Iterator[None]:
        """Statements that run where the condition holds."""
        self._blocks.append([])
        yield
        body = sequence(self._blocks.pop())
        self.add(statements.IfThenElse(condition, body, None))

    def body(self) -> Statement:
        """All statements."""
        assert len(self._blocks) == 1, "an open loop"
        return sequence(self._blocks[0])


def sequence(parts: Sequence[Statement]) -> Statement:
    """Statements one after another."""
    if not parts:
        return statements.Evaluate(integer(0))
    return parts[0] if len(parts) == 1 else statements.SeqStmt(list(parts))


def on_cpu(body: Statement) -> Statement:
    """The statements with the device stated that a workspace is taken from."""
    device = {"device_id": 0, "device_type": _CPU}
    for name, value in device.items():
        body = statements.AttrStmt(integer(0), name, integer(value), body)
    return body


def pointer(name: str) -> Expr:
    """A parameter that points to fp32 values."""
    return tirx.Var(name, ir.PointerType(ir.PrimType(FLOAT), "global"))


def view(emitter: Emitter, data: Expr, size: int, name: str) -> Expr:
    """The flat buffer behind a pointer."""
    buffer = tirx.decl_buffer((max(size, 1),), FLOAT, name, data=data)
    emitter.add(statements.DeclBuffer(buffer, data=data))
    return buffer


def split_lanes(size: int, lanes: int) -> tuple[int, ...]:
    """Vector widths, powers of two up to `lanes`, that cover `size` values exactly: 40 = 16 + 16 + 8."""
    widths = [lanes] * (size // lanes)
    width = lanes // 2
    while width:
        widths += [width] * (size // width % 2)
        width //= 2
    return tuple(widths)


def offsets(widths: Sequence[int]) -> tuple[int, ...]:
    """Where each vector starts: the running sum."""
    return tuple(sum(widths[:index]) for index in range(len(widths)))


def round_up(size: int, multiple: int) -> int:
    """The least multiple that is not below `size`."""
    return -(-size // multiple) * multiple
