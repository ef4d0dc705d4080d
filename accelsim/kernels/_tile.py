"""Register tiles of dot products: the innermost loops of the whole-layer kernels, written as portable LLVM vectors.

A loop over pairs of 16-bit operands, sign-extended, multiplied and added pairwise is what LLVM turns into ``vpmaddwd`` on x86
and ``smlal`` on ARM; scalar code that numba vectorises by itself reaches a third of that speed. Sums are 32-bit and wrap; the
caller has a bound that no true sum leaves them. Addresses are plain integers, offsets count elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
"""Output channels of one tile: two vectors of eight 32-bit sums."""
VECTORS = 2
VECTOR_LANES = LANES // VECTORS
PIXELS = 4
"""Output pixels of a large tile: 4 x 2 sums, 2 weight vectors and 1 activation pair fit 16 vector registers."""

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_I32, VECTOR_LANES)
_PAIRS = ir.VectorType(_I16, 2 * VECTOR_LANES)
_WIDE = ir.VectorType(_I32, 2 * VECTOR_LANES)

_intrinsic: Any = intrinsic

Value = Any
Step = Callable[[Any, list[Value], Value, Value, list[Value]], list[Value]]


def _load(builder: Any, address: Value, kind: Any, alignment: int) -> Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=alignment)


def _plus(builder: Any, address: Value, count: Value | int, size: int) -> Value:
    """``address`` moved by ``count`` elements of ``size`` bytes."""
    if isinstance(count, int):
        return builder.add(address, ir.Constant(_I64, count * size))
    return builder.add(address, builder.mul(count, ir.Constant(_I64, size)))


def _splat(builder: Any, value: Value, kind: Any) -> Value:
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), _indices([0] * kind.count))


def _indices(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(lanes)), lanes)


def _add_pairs(builder: Any, sums: Value, a: Value, b: Value) -> Value:
    """``sums[i] + a[2i]*b[2i] + a[2i+1]*b[2i+1]``."""
    product = builder.mul(builder.sext(a, _WIDE), builder.sext(b, _WIDE))
    undefined = ir.Constant(_WIDE, ir.Undefined)
    even = builder.shuffle_vector(product, undefined, _indices(list(range(0, 2 * VECTOR_LANES, 2))))
    odd = builder.shuffle_vector(product, undefined, _indices(list(range(1, 2 * VECTOR_LANES, 2))))
    return builder.add(sums, builder.add(even, odd))


def _counted_loop(
    builder: Any, count: Value, state: list[Value], body: Callable[[Value, list[Value]], list[Value]]
) -> list[Value]:
    """``state`` after ``count`` >= 1 runs of ``body(index, state)``; every element of the state stays in a register."""
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_I64)
    phis = [builder.phi(value.type) for value in state]
    index.add_incoming(ir.Constant(_I64, 0), before)
    for phi, value in zip(phis, state, strict=True):
        phi.add_incoming(value, before)
    results = body(index, phis)
    following = builder.add(index, ir.Constant(_I64, 1))
    index.add_incoming(following, builder.block)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return results


def _pair_step(builder: Any, x: list[Value], w: Value, k: Value, sums: list[Value]) -> list[Value]:
    """Pair ``k`` of each pixel, broadcast, against the pairs of 16 channels."""
    weights = [_load(builder, _plus(builder, w, v, 4 * VECTOR_LANES), _PAIRS, 2) for v in range(VECTORS)]
    result = []
    for p, address in enumerate(x):
        pair = _load(builder, _plus(builder, address, k, 4), _I32, 2)
        spread = builder.bitcast(_splat(builder, pair, _SUMS), _PAIRS)
        result += [_add_pairs(builder, sums[p * VECTORS + v], spread, weights[v]) for v in range(VECTORS)]
    return result


def _channel_step(builder: Any, x: list[Value], w: Value, k: Value, sums: list[Value]) -> list[Value]:
    """One tap of 16 channels, lane by lane."""
    weights = [_widened(builder, w, v) for v in range(VECTORS)]
    result = []
    for p, address in enumerate(x):
        products = [builder.mul(_widened(builder, address, v), weights[v]) for v in range(VECTORS)]
        result += [builder.add(sums[p * VECTORS + v], products[v]) for v in range(VECTORS)]
    return result


def _widened(builder: Any, address: Value, vector: int) -> Value:
    codes = _load(builder, _plus(builder, address, vector, 2 * VECTOR_LANES), ir.VectorType(_I16, VECTOR_LANES), 2)
    return builder.sext(codes, _SUMS)


def _tile(builder: Any, arguments: list[Value], pixels: int, step: Step, step_bytes: int) -> None:
    """Sums start at the bias, run through the steps of all segments and are stored, one row per pixel."""
    x, w, segments, count, steps, bias, out = arguments[:7]
    places, rows = arguments[7 : 7 + pixels], arguments[7 + pixels :]
    starts = [_plus(builder, x, place, 2) for place in places]
    first = [_load(builder, _plus(builder, bias, v, 4 * VECTOR_LANES), _SUMS, 4) for v in range(VECTORS)]

    def segment(s: Value, state: list[Value]) -> list[Value]:
        offset = _load(builder, _plus(builder, segments, s, 8), _I64, 8)
        heads = [_plus(builder, start, offset, 2) for start in starts]

        def one(k: Value, state: list[Value]) -> list[Value]:
            return [_plus(builder, state[0], 1, step_bytes), *step(builder, heads, state[0], k, state[1:])]

        return _counted_loop(builder, steps, state, one)

    sums = _counted_loop(builder, count, [w, *first * pixels], segment)[1:]
    for p, row in enumerate(rows):
        for v in range(VECTORS):
            address = _plus(builder, _plus(builder, out, row, 4), v, 4 * VECTOR_LANES)
            builder.store(sums[p * VECTORS + v], builder.inttoptr(address, _SUMS.as_pointer()), align=4)


def _signature(arguments: int) -> Any:
    return types.void(*[types.int64] * arguments)


def _generator(pixels: int, step: Step, step_bytes: int) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: list[Value]) -> Any:
        _tile(builder, arguments, pixels, step, step_bytes)
        return context.get_dummy_value()

    return generate


@_intrinsic
def pairs_tile1(
    typing_context: Any,
    x: Any,
    w: Any,
    segments: Any,
    count: Any,
    steps: Any,
    bias: Any,
    out: Any,
    place: Any,
    row: Any,
) -> Any:
    """One pixel, 16 channels: ``out[row + i] = bias[i] + sum over segments s and pairs k of x[place + segments[s] + 2k ..] * w``."""
    return _signature(9), _generator(1, _pair_step, 4 * LANES)


@_intrinsic
def pairs_tile4(
    typing_context: Any,
    x: Any,
    w: Any,
    segments: Any,
    count: Any,
    steps: Any,
    bias: Any,
    out: Any,
    p0: Any,
    p1: Any,
    p2: Any,
    p3: Any,
    r0: Any,
    r1: Any,
    r2: Any,
    r3: Any,
) -> Any:
    """Four pixels at ``p0 .. p3``, 16 channels, to rows at ``r0 .. r3``."""
    return _signature(15), _generator(PIXELS, _pair_step, 4 * LANES)


@_intrinsic
def pairs_tile6(
    typing_context: Any,
    x: Any,
    w: Any,
    segments: Any,
    count: Any,
    steps: Any,
    bias: Any,
    out: Any,
    p0: Any,
    p1: Any,
    p2: Any,
    p3: Any,
    p4: Any,
    p5: Any,
    r0: Any,
    r1: Any,
    r2: Any,
    r3: Any,
    r4: Any,
    r5: Any,
) -> Any:
    """Six pixels at ``p0 .. p5``, 16 channels, to rows at ``r0 .. r5``: 12 sums, 2 weight vectors, 1 pair, 1 product."""
    return _signature(19), _generator(6, _pair_step, 4 * LANES)


@_intrinsic
def channels_tile1(
    typing_context: Any,
    x: Any,
    w: Any,
    segments: Any,
    count: Any,
    steps: Any,
    bias: Any,
    out: Any,
    place: Any,
    row: Any,
) -> Any:
    """One pixel, 16 channels, each with its own taps: ``out[row + i] = bias[i] + sum over s of x[place + segments[s] + i] * w[s, i]``."""
    return _signature(9), _generator(1, _channel_step, 2 * LANES)


@_intrinsic
def channels_tile4(
    typing_context: Any,
    x: Any,
    w: Any,
    segments: Any,
    count: Any,
    steps: Any,
    bias: Any,
    out: Any,
    p0: Any,
    p1: Any,
    p2: Any,
    p3: Any,
    r0: Any,
    r1: Any,
    r2: Any,
    r3: Any,
) -> Any:
    """Four pixels, 16 channels each with its own taps."""
    return _signature(15), _generator(PIXELS, _channel_step, 2 * LANES)
