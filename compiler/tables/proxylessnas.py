"""The keys of ProxylessNAS's published latency tables, and the blocks they stand for.

The table of the Pixel 1 (Cai, Zhu, Han, ICLR 2019; `mobile_trim.yaml` of github.com/han-cai/files) has keys
`Conv` (3x3, ReLU6), `expanded_conv` (MobileNetV2's inverted bottleneck; `idskip:1` is one with a residual),
`Conv_1` (1x1, ReLU6) and `Logits` (global pool and linear layer), with sizes as height x width x channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from compiler.ir.expression import Literal
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel, Step

_SIZE = r"([1-9]\d{0,5})"
_IMAGE = f"{_SIZE}x{_SIZE}x{_SIZE}"
_CONVOLUTION = re.compile(rf"(Conv|Conv_1)-input:{_IMAGE}-output:{_IMAGE}")
_BOTTLENECK = re.compile(
    rf"expanded_conv-input:{_IMAGE}-output:{_IMAGE}-expand:{_SIZE}-kernel:{_SIZE}-stride:{_SIZE}-idskip:([01])"
)
_LOGITS = re.compile(rf"Logits-input:{_IMAGE}-output:{_SIZE}")


def block_of_key(key: str) -> Kernel:
    """The block that a key stands for.

    Raises:
        ValueError: it is no key of such a table, or its output is not that of its block.
    """
    if match := _CONVOLUTION.fullmatch(key):
        kernel = 3 if match[1] == "Conv" else 1
        numbers = [int(number) for number in match.groups()[1:]]
        entering, output = _channels_first(numbers[:3]), _channels_first(numbers[3:])
        block = _convolution(entering, output[0], kernel, -(-entering[1] // output[1]))
    elif match := _BOTTLENECK.fullmatch(key):
        *sizes, expand, kernel, stride, idskip = [int(number) for number in match.groups()]
        entering, output = _channels_first(sizes[:3]), _channels_first(sizes[3:])
        if idskip and entering != output:
            raise ValueError("`idskip:1` needs an output like the input")
        block = _bottleneck(entering, output[0], expand, kernel, stride, bool(idskip))
    elif match := _LOGITS.fullmatch(key):
        *image, out = [int(number) for number in match.groups()]
        entering, output = _channels_first(image), (out,)
        block = _logits(entering, out)
    else:
        raise ValueError(
            "no key of a published table: `Conv`, `expanded_conv`, `Conv_1` or `Logits` with sizes"
        )
    if block.output != output:
        raise ValueError(f"the output of such a block is {_written(block.output)}")
    return block


def key_of(block: Kernel) -> str | None:
    """The key that stands for a block: the inverse of `block_of_key`; None where no key does."""
    if len(block.inputs) != 1 or len(block.inputs[0]) != 3:
        return None
    key = _guess(block, [step.operator for step in block.steps])
    try:
        return key if key is not None and block_of_key(key) == block else None
    except ValueError:
        return None


def _guess(block: Kernel, operators: list[str]) -> str | None:
    """The only key that can stand for the block, if one does."""
    sizes = f"-input:{_written(block.inputs[0])}-output:{_written(block.output)}"
    if operators == ["conv", "relu6"]:
        return f"{'Conv' if block.steps[0].settings['kernel'] == 3 else 'Conv_1'}{sizes}"
    if operators == ["global_pool", "linear"]:
        return f"Logits{sizes}"
    if "depthwise" not in operators:
        return None
    widened = block.values[operators.index("depthwise")]
    depthwise = block.steps[operators.index("depthwise")].settings
    traits = f"-expand:{widened[0] // block.inputs[0][0]}-kernel:{depthwise['kernel']}-stride:{depthwise['stride']}"
    return f"expanded_conv{sizes}{traits}-idskip:{int(operators[-1] == 'add')}"


def _convolution(entering: Dimensions, out: int, kernel: int, stride: int) -> Kernel:
    given = {"out": out, "kernel": kernel, "stride": stride, "bias": True}
    return Kernel((entering,), (_step("conv", given, 0), _step("relu6", {}, 1)))


def _bottleneck(
    entering: Dimensions, out: int, expand: int, kernel: int, stride: int, residual: bool
) -> Kernel:
    steps: list[Step] = []
    if expand > 1:
        widened = {"out": expand * entering[0], "kernel": 1, "bias": True}
        steps += [_step("conv", widened, 0), _step("relu6", {}, 1)]
    depthwise: dict[str, Literal] = {"kernel": kernel, "stride": stride, "bias": True}
    narrowed: dict[str, Literal] = {"out": out, "kernel": 1, "bias": True}
    for operator, given in (("depthwise", depthwise), ("relu6", {}), ("conv", narrowed)):
        steps.append(_step(operator, given, len(steps)))
    if residual:
        steps.append(_step("add", {}, 0, len(steps)))
    return Kernel((entering,), tuple(steps))


def _logits(entering: Dimensions, out: int) -> Kernel:
    return Kernel((entering,), (_step("global_pool", {}, 0), _step("linear", {"out": out}, 1)))


def _step(operator: str, given: Mapping[str, Literal], *operands: int) -> Step:
    return Step(operator, tuple(complete(OPERATORS[operator], given).items()), operands)  # type: ignore[arg-type]


def _channels_first(sizes: list[int]) -> Dimensions:
    height, width, channels = sizes
    return channels, height, width


def _written(shape: Dimensions) -> str:
    """Dimensions as a key has them: channels last."""
    return "x".join(map(str, (*shape[1:], shape[0]) if len(shape) == 3 else shape))
