"""Panels of matrix products: one generator of register tiles for every instruction set, written as LLVM vectors.

A tile holds ``rows`` x ``vectors`` x ``lanes`` 32-bit sums in registers. At each step a group of 2 or 4 codes of every row, read as
one 32-bit word and broadcast, meets the groups of all columns; how a group enters the sums is the *dot* of the path. After every
``inner`` steps the sums may be clamped. Sums wrap modulo 2^32. Addresses are plain integers, distances are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_intrinsic: Any = intrinsic
_types: Any = types
_cgutils: Any = cgutils

Value = Any
Dot = Callable[[Any, Value, Value, Value], Value]

WORD = 4
"""Bytes of a group of codes and of a sum."""
FIELDS = 12
"""Integers of a job: x and its row distance, weights, start of the sums and its row distance, sums and their row distance, rows,
outer steps, inner steps, low, high."""


@dataclass(frozen=True)
class Tile:
    """Shape of a register tile, the codes of one group, and how a group of codes is added to a vector of sums."""

    rows: int
    vectors: int
    lanes: int
    group: int
    dot: Dot
    clamped: bool = False

    @property
    def columns(self) -> int:
        """Columns of the product that one tile covers."""
        return self.vectors * self.lanes

    @property
    def sums(self) -> Any:
        """LLVM type of one vector of sums."""
        return ir.VectorType(_I32, self.lanes)

    @property
    def codes(self) -> Any:
        """LLVM type of the groups that meet one vector of sums."""
        return ir.VectorType(_I16 if self.group == 2 else _I8, self.group * self.lanes)


def _lanes(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(numbers)), numbers)


def _group_sums(builder: Any, products: Value, group: int) -> Value:
    """Sums of each ``group`` neighbouring lanes, added pairwise."""
    undefined = ir.Constant(products.type, ir.Undefined)
    parts = [
        builder.shuffle_vector(products, undefined, _lanes(list(range(i, products.type.count, group))))
        for i in range(group)
    ]
    while len(parts) > 1:
        parts = [builder.add(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def pairs_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """Signed 16-bit pairs in portable IR: ``vpmaddwd`` on x86, ``smull`` on ARM."""
    wide = ir.VectorType(_I32, x.type.count)
    return builder.add(sums, _group_sums(builder, builder.mul(builder.sext(x, wide), builder.sext(w, wide)), 2))


def quads_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """Unsigned by signed 8-bit groups of four in portable IR: what ``vpdpbusd`` computes."""
    wide = ir.VectorType(_I32, x.type.count)
    return builder.add(sums, _group_sums(builder, builder.mul(builder.zext(x, wide), builder.sext(w, wide)), 4))


def vnni_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """``vpdpbusd`` on a whole vector: the EVEX form at 512 bits, the VEX or EVEX form at 256."""
    bits = 32 * sums.type.count
    kind = ir.FunctionType(sums.type, [sums.type, x.type, w.type])
    function = _cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx512.vpdpbusd.{bits}")
    return builder.call(function, [sums, x, w])


def _load(builder: Any, address: Value, kind: Any) -> Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def _loop(
    builder: Any, count: Value, state: list[Value], body: Callable[[Value, list[Value]], list[Value]]
) -> list[Value]:
    """``state`` after ``count`` >= 1 runs of ``body(index, state)``; every element of the state stays in a register."""
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    phis = [builder.phi(value.type) for value in [count, *state]]
    for phi, value in zip(phis, [ir.Constant(_I64, 0), *state], strict=True):
        phi.add_incoming(value, before)
    results = body(phis[0], phis[1:])
    following = builder.add(phis[0], ir.Constant(_I64, 1))
    for phi, value in zip(phis, [following, *results], strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return results


def _splat(builder: Any, value: Value, kind: Any) -> Value:
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, _lanes([0] * kind.count))


def _step(builder: Any, tile: Tile, x: list[Value], k: Value, w: Value, sums: list[Value]) -> list[Value]:
    """Group ``k`` of each row, broadcast, against the groups of all columns."""
    size = WORD * tile.lanes
    weights = [_load(builder, builder.add(w, ir.Constant(_I64, v * size)), tile.codes) for v in range(tile.vectors)]
    result: list[Value] = []
    for row, address in enumerate(x):
        word = _load(builder, builder.add(address, builder.mul(k, ir.Constant(_I64, WORD))), _I32)
        codes = builder.bitcast(_splat(builder, word, tile.sums), tile.codes)
        own = sums[row * tile.vectors : (row + 1) * tile.vectors]
        result += [tile.dot(builder, total, codes, weight) for total, weight in zip(own, weights, strict=True)]
    return result


def _clamp(builder: Any, sums: list[Value], low: Value, high: Value) -> list[Value]:
    raised = [builder.select(builder.icmp_signed("<", s, low), low, s) for s in sums]
    return [builder.select(builder.icmp_signed(">", s, high), high, s) for s in raised]


def _tile(builder: Any, tile: Tile, rows: int, job: list[Value], x: Value, start: Value, out: Value) -> None:
    """One tile of ``rows`` rows: sums begin at ``start``, run through all steps and are stored at ``out``."""
    _, x_row, w, _, start_row, _, out_row, _, outer, inner, low, high = job
    bounds = [_splat(builder, builder.trunc(value, _I32), tile.sums) for value in (low, high)]
    heads = _spaced(builder, x, x_row, rows)
    sums = [
        _load(builder, builder.add(head, ir.Constant(_I64, v * WORD * tile.lanes)), tile.sums)
        for head in _spaced(builder, start, start_row, rows)
        for v in range(tile.vectors)
    ]
    if tile.clamped:
        sums = _clamp(builder, sums, *bounds)

    def group(g: Value, state: list[Value]) -> list[Value]:
        first = builder.mul(g, inner)

        def one(k: Value, state: list[Value]) -> list[Value]:
            following = builder.add(state[0], ir.Constant(_I64, WORD * tile.columns))
            return [following, *_step(builder, tile, heads, builder.add(first, k), state[0], state[1:])]

        state = _loop(builder, inner, state, one)
        return [state[0], *_clamp(builder, state[1:], *bounds)] if tile.clamped else state

    totals = _loop(builder, outer, [w, *sums], group)[1:]
    for row, head in enumerate(_spaced(builder, out, out_row, rows)):
        for v in range(tile.vectors):
            address = builder.add(head, ir.Constant(_I64, v * WORD * tile.lanes))
            builder.store(totals[row * tile.vectors + v], builder.inttoptr(address, tile.sums.as_pointer()), align=WORD)


def _spaced(builder: Any, first: Value, distance: Value, count: int) -> list[Value]:
    return [builder.add(first, builder.mul(distance, ir.Constant(_I64, i))) for i in range(count)]


def emit_panel(builder: Any, tile: Tile, job: list[Value]) -> None:
    """All rows of a job against one panel of columns: whole tiles first, then row by row."""
    x, x_row, _, start, start_row, out, out_row, rows = job[:8]
    height = ir.Constant(_I64, tile.rows)
    full = builder.sdiv(rows, height)
    _strip(builder, tile, tile.rows, job, [x, start, out], full)
    done = builder.mul(full, height)
    moved = [builder.add(a, builder.mul(done, step)) for a, step in ((x, x_row), (start, start_row), (out, out_row))]
    _strip(builder, tile, 1, job, moved, builder.sub(rows, done))


def _strip(builder: Any, tile: Tile, rows: int, job: list[Value], heads: list[Value], count: Value) -> None:
    """``count`` tiles of ``rows`` rows below each other; nothing for 0."""
    steps = [builder.mul(job[i], ir.Constant(_I64, rows)) for i in (1, 4, 6)]

    def body(_: Value, state: list[Value]) -> list[Value]:
        _tile(builder, tile, rows, job, *state)
        return [builder.add(a, step) for a, step in zip(state, steps, strict=True)]

    with builder.if_then(builder.icmp_signed(">", count, ir.Constant(_I64, 0))):
        _loop(builder, count, heads, body)


PAIRS = Tile(6, 2, 8, 2, pairs_dot)
"""6 x 16: 12 sums, 2 weight vectors, 1 broadcast and 1 product fill the 16 registers of AVX2."""
QUADS = Tile(2, 2, 8, 4, quads_dot)
AVXVNNI = Tile(4, 3, 8, 4, vnni_dot)
"""4 x 24: 12 sums, 3 weight vectors and 1 broadcast fill the 16 registers of AVX."""
VNNI512 = Tile(6, 4, 16, 4, vnni_dot)
"""6 x 64: 24 sums, 4 weight vectors and 1 broadcast of the 32 registers of AVX-512."""
CLAMPED = Tile(4, 2, 8, 2, pairs_dot, clamped=True)
"""4 x 16: 8 sums, 2 bounds, 2 weight vectors, 1 broadcast and 1 product."""


def _panel(tile: Tile, job: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: list[Value]) -> Any:
        emit_panel(builder, tile, _cgutils.unpack_tuple(builder, arguments[0], FIELDS))
        return context.get_dummy_value()

    return _types.void(_types.UniTuple(_types.int64, FIELDS)), generate


@_intrinsic
def pairs_panel(typing_context: Any, job: Any) -> Any:
    """A job on 16-bit pairs."""
    return _panel(PAIRS, job)


@_intrinsic
def quads_panel(typing_context: Any, job: Any) -> Any:
    """A job on groups of four 8-bit codes, in portable IR."""
    return _panel(QUADS, job)


@_intrinsic
def avxvnni_panel(typing_context: Any, job: Any) -> Any:
    """A job on groups of four 8-bit codes, with 256-bit ``vpdpbusd``."""
    return _panel(AVXVNNI, job)


@_intrinsic
def vnni512_panel(typing_context: Any, job: Any) -> Any:
    """A job on groups of four 8-bit codes, with 512-bit ``vpdpbusd``."""
    return _panel(VNNI512, job)


@_intrinsic
def clamped_panel(typing_context: Any, job: Any) -> Any:
    """A job on 16-bit pairs, clamped after every ``inner`` pairs."""
    return _panel(CLAMPED, job)
