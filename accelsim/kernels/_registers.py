"""Register tiles of dot products, written as LLVM vectors: one generator for every instruction set and every reader of values.

A tile holds ``rows`` pixels x ``vectors`` x ``lanes`` 32-bit sums in registers. At each step a group of 2 or 4 codes of every
pixel, read as one 32-bit word and broadcast, meets the groups of all columns; or, in a depthwise layer, every column meets its own
code. How codes enter the sums is the *dot* of the tile. The codes of a pixel lie in *segments*, runs of memory (a row of a
kernel, a tap), so that a convolution needs no copy of its windows; sums may be clamped after each segment. Sums wrap modulo 2^32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_intrinsic: Any = intrinsic
_types: Any = types
_cgutils: Any = cgutils

Value = Any
Dot = Callable[[Any, Value, Value, Value], Value]

WORD = 4
"""Bytes of a group of codes and of a sum."""
OFFSET = 8
"""Bytes of an entry of the tables of places and segments."""


class Job(NamedTuple):
    """A panel of columns against a run of pixels; 64-bit integers, addresses but for what is said here.

    ``places`` and ``segments`` are tables of int64 offsets into ``x``, in codes, of each pixel and of each of the ``segment_count``
    segments of ``steps`` groups. Sums begin at ``start``, rows ``start_row`` bytes apart, and end at ``out``, ``out_row`` apart.
    """

    x: Any
    places: Any
    pixels: Any
    segments: Any
    segment_count: Any
    steps: Any
    weights: Any
    start: Any
    start_row: Any
    out: Any
    out_row: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class Tile:
    """Shape of a register tile, the codes of one group (1: every column has its own), and how they are added to a vector of sums.

    ``heights`` are the pixels of the tiles that cover a run of pixels, tallest first, the last 1.
    """

    heights: tuple[int, ...]
    vectors: int
    lanes: int
    group: int
    dot: Dot
    clamped: bool = False
    features: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Columns of the product that one tile covers."""
        return self.vectors * self.lanes

    @property
    def code_bytes(self) -> int:
        """Bytes of one code."""
        return 1 if self.group == 4 else 2

    @property
    def vector_bytes(self) -> int:
        """Bytes of the codes that meet one vector of sums."""
        return self.lanes * self.group * self.code_bytes

    @property
    def sums(self) -> Any:
        """LLVM type of one vector of sums."""
        return ir.VectorType(_I32, self.lanes)

    @property
    def codes(self) -> Any:
        """LLVM type of the codes that meet one vector of sums."""
        return ir.VectorType(ir.IntType(8 * self.code_bytes), self.group * self.lanes)


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
    """Signed 16-bit pairs in portable IR: ``vpmaddwd`` on x86, ``smull`` on ARM; numba's own vectors reach a third of its speed."""
    wide = ir.VectorType(_I32, x.type.count)
    return builder.add(sums, _group_sums(builder, builder.mul(builder.sext(x, wide), builder.sext(w, wide)), 2))


def quads_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """Unsigned by signed 8-bit groups of four in portable IR: what ``vpdpbusd`` computes."""
    wide = ir.VectorType(_I32, x.type.count)
    return builder.add(sums, _group_sums(builder, builder.mul(builder.zext(x, wide), builder.sext(w, wide)), 4))


def vnni_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """``vpdpbusd`` on a whole vector: the EVEX form at 512 bits, the VEX or EVEX form at 256."""
    bits = 32 * sums.type.count
    # Codes as words: what the intrinsic takes before LLVM 22, which reads it as its own form of bytes.
    kind = ir.FunctionType(sums.type, [sums.type] * 3)
    function = _cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx512.vpdpbusd.{bits}")
    return builder.call(function, [sums, *(builder.bitcast(codes, sums.type) for codes in (x, w))])


def channels_dot(builder: Any, sums: Value, x: Value, w: Value) -> Value:
    """Signed 16-bit codes, lane by lane."""
    return builder.add(sums, builder.mul(builder.sext(x, sums.type), builder.sext(w, sums.type)))


def _plus(builder: Any, address: Value, count: Value | int, size: Value | int = 1) -> Value:
    """``address`` moved by ``count`` things of ``size`` bytes."""
    count, size = (ir.Constant(_I64, one) if isinstance(one, int) else one for one in (count, size))
    return builder.add(address, builder.mul(count, size))


def _load(builder: Any, address: Value, kind: Any) -> Value:
    # Codes begin anywhere: LLVM would take a vector to be aligned to its own size.
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
    following = _plus(builder, phis[0], 1)
    for phi, value in zip(phis, [following, *results], strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return results


def _splat(builder: Any, value: Value, kind: Any) -> Value:
    """A vector of ``kind`` that holds ``value`` everywhere."""
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, _lanes([0] * kind.count))


def _codes(builder: Any, tile: Tile, head: Value, k: Value) -> list[Value]:
    """Step ``k`` of a pixel, as each vector of sums meets it."""
    if tile.group == 1:
        return [_load(builder, _plus(builder, head, v, tile.vector_bytes), tile.codes) for v in range(tile.vectors)]
    word = _load(builder, _plus(builder, head, k, WORD), _I32)
    return [builder.bitcast(_splat(builder, word, tile.sums), tile.codes)] * tile.vectors


def _step(builder: Any, tile: Tile, heads: list[Value], k: Value, w: Value, sums: list[Value]) -> list[Value]:
    """Step ``k`` of every pixel against the weights of all columns."""
    weights = [_load(builder, _plus(builder, w, v, tile.vector_bytes), tile.codes) for v in range(tile.vectors)]
    result: list[Value] = []
    for row, head in enumerate(heads):
        own, codes = sums[row * tile.vectors : (row + 1) * tile.vectors], _codes(builder, tile, head, k)
        result += [tile.dot(builder, *operands) for operands in zip(own, codes, weights, strict=True)]
    return result


def _clamp(builder: Any, sums: list[Value], low: Value, high: Value) -> list[Value]:
    raised = [builder.select(builder.icmp_signed("<", s, low), low, s) for s in sums]
    return [builder.select(builder.icmp_signed(">", s, high), high, s) for s in raised]


def _sum_places(builder: Any, tile: Tile, rows: int, first: Value, row: Value) -> list[Value]:
    """Addresses of the vectors of sums of ``rows`` pixels."""
    heads = [_plus(builder, first, i, row) for i in range(rows)]
    return [_plus(builder, head, v, WORD * tile.lanes) for head in heads for v in range(tile.vectors)]


def _tile(builder: Any, tile: Tile, rows: int, job: Job, state: list[Value]) -> None:
    """One tile of ``rows`` pixels: sums begin at their start, run through the steps of all segments and are stored."""
    places, start, out = state
    bounds = [_splat(builder, builder.trunc(value, _I32), tile.sums) for value in (job.low, job.high)]
    pixels = [_load(builder, _plus(builder, places, i, OFFSET), _I64) for i in range(rows)]
    pixels = [_plus(builder, job.x, pixel, tile.code_bytes) for pixel in pixels]
    sums = [_load(builder, a, tile.sums) for a in _sum_places(builder, tile, rows, start, job.start_row)]

    def segment(s: Value, state: list[Value]) -> list[Value]:
        offset = _load(builder, _plus(builder, job.segments, s, OFFSET), _I64)
        heads = [_plus(builder, pixel, offset, tile.code_bytes) for pixel in pixels]

        def one(k: Value, state: list[Value]) -> list[Value]:
            following = _plus(builder, state[0], tile.vectors, tile.vector_bytes)
            return [following, *_step(builder, tile, heads, k, state[0], state[1:])]

        state = _loop(builder, job.steps, state, one)
        return [state[0], *_clamp(builder, state[1:], *bounds)] if tile.clamped else state

    totals = _loop(builder, job.segment_count, [job.weights, *sums], segment)[1:]
    for address, total in zip(_sum_places(builder, tile, rows, out, job.out_row), totals, strict=True):
        builder.store(total, builder.inttoptr(address, tile.sums.as_pointer()), align=WORD)


def emit_panel(builder: Any, tile: Tile, job: Job) -> None:
    """All pixels of a job: as many of the tallest tiles as fit, then lower ones; a row of sums is stored before the next."""
    left, state = job.pixels, [job.places, job.start, job.out]
    for height in tile.heights:
        count = builder.sdiv(left, ir.Constant(_I64, height))
        _strip(builder, tile, height, job, state, count)
        done = builder.mul(count, ir.Constant(_I64, height))
        left = builder.sub(left, done)
        state = [_plus(builder, a, done, size) for a, size in zip(state, _row_bytes(job), strict=True)]


def _row_bytes(job: Job) -> tuple[Value, Value, Value]:
    return ir.Constant(_I64, OFFSET), job.start_row, job.out_row


def _strip(builder: Any, tile: Tile, height: int, job: Job, state: list[Value], count: Value) -> None:
    """``count`` tiles of ``height`` pixels one after another; nothing for 0."""

    def body(_: Value, state: list[Value]) -> list[Value]:
        _tile(builder, tile, height, job, state)
        return [_plus(builder, a, height, size) for a, size in zip(state, _row_bytes(job), strict=True)]

    with builder.if_then(builder.icmp_signed(">", count, ir.Constant(_I64, 0))):
        _loop(builder, count, state, body)


PAIRS = Tile((6, 3, 1), 2, 8, 2, pairs_dot)
"""6 x 16: 12 sums, 2 weight vectors, 1 broadcast and 1 product fill the 16 registers of AVX2."""
CHANNELS = Tile((4, 2, 1), 2, 8, 1, channels_dot)
"""4 x 16: 8 sums, 2 weight vectors and what a product needs."""
CLAMPED = Tile((4, 2, 1), 2, 8, 2, pairs_dot, clamped=True)
"""4 x 16: 8 sums, 2 bounds, 2 weight vectors, 1 broadcast and 1 product."""
QUADS = Tile((2, 1), 2, 8, 4, quads_dot)
"""Stands in for VNNI where there is none: the same bits on any CPU."""
AVXVNNI = Tile((4, 2, 1), 3, 8, 4, vnni_dot, features=("avx2", "avxvnni"))
"""4 x 24: 12 sums, 3 weight vectors and 1 broadcast fill the 16 registers of AVX."""
VNNI512 = Tile((6, 3, 1), 4, 16, 4, vnni_dot, features=("avx512f", "avx512bw", "avx512vnni"))
"""6 x 64: 24 sums, 4 weight vectors and 1 broadcast of the 32 registers of AVX-512."""


def narrow(tile: Tile) -> Tile:
    """The tile of one vector for the columns that do not fill a ``tile`` of 8-bit codes: with 12 sums at once a dot need not wait
    for the one before it."""
    return replace(tile, heights=(12, 4, 1) if tile.features else tile.heights, vectors=1)


def bytes_tile(features: frozenset[str]) -> Tile:
    """The fastest tile of 8-bit codes for a CPU with ``features``, by LLVM's names."""
    return next(tile for tile in (VNNI512, AVXVNNI, QUADS) if features.issuperset(tile.features))


def features_of(codegen: Any) -> frozenset[str]:
    """Names of the vector extensions that numba's ``codegen`` compiles for; its disk cache asks for the same ones."""
    names = codegen.magic_tuple()[2].split(",")
    return frozenset(name[1:] for name in names if name.startswith("+"))


def panel(job: Any, choose: Callable[[Any], Tile]) -> tuple[Any, Callable[..., Any]]:
    """Signature and code generator of an intrinsic that does a ``job`` with the tile that ``choose(codegen)`` names."""

    def generate(context: Any, builder: Any, signature: Any, arguments: list[Value]) -> Any:
        values = _cgutils.unpack_tuple(builder, arguments[0], len(Job._fields))
        emit_panel(builder, choose(context.codegen()), Job(*values))
        return context.get_dummy_value()

    return _types.void(_types.NamedUniTuple(_types.int64, len(Job._fields), Job)), generate


@_intrinsic
def pairs_panel(typing_context: Any, job: Any) -> Any:
    """A job on pairs of 16-bit codes."""
    return panel(job, lambda codegen: PAIRS)


@_intrinsic
def bytes_panel(typing_context: Any, job: Any) -> Any:
    """A job on groups of four 8-bit codes, those of x unsigned, by the best instruction of the CPU."""
    return panel(job, lambda codegen: bytes_tile(features_of(codegen)))


@_intrinsic
def narrow_bytes_panel(typing_context: Any, job: Any) -> Any:
    """As :func:`bytes_panel`, one vector of columns."""
    return panel(job, lambda codegen: narrow(bytes_tile(features_of(codegen))))


@_intrinsic
def channels_panel(typing_context: Any, job: Any) -> Any:
    """A job whose columns each have their own 16-bit codes."""
    return panel(job, lambda codegen: CHANNELS)


@_intrinsic
def clamped_panel(typing_context: Any, job: Any) -> Any:
    """A job on pairs of 16-bit codes, sums clamped to [low, high] after every segment."""
    return panel(job, lambda codegen: CLAMPED)


@_intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An address as a pointer to who knows what."""

    def generate(context: Any, builder: Any, signature: Any, arguments: list[Value]) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return _types.voidptr(_types.int64), generate


TABLE_FEATURES = ("avx512f", "avx512bw", "avx512vbmi")
"""``vpermi2b`` looks 64 bytes up in 128 at once."""
_BYTES = 64


def emit_translation(builder: Any, table: Value, source: Value, flip: Value, target: Value, count: Value) -> Value:
    """Bytes ``table[source ^ flip]`` at ``target``, by whole vectors of 64, of a table of 256; how many were written."""
    kind = ir.VectorType(ir.IntType(8), _BYTES)
    function = _cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), "llvm.x86.avx512.vpermi2var.qi.512"
    )
    parts = [_load(builder, _plus(builder, table, i, _BYTES), kind) for i in range(4)]
    mask = _splat(builder, builder.trunc(flip, ir.IntType(8)), kind)
    blocks = builder.sdiv(count, ir.Constant(_I64, _BYTES))

    def block(i: Value, state: list[Value]) -> list[Value]:
        index = builder.xor(_load(builder, _plus(builder, source, i, _BYTES), kind), mask)
        low, high = (builder.call(function, [parts[k], index, parts[k + 1]]) for k in (0, 2))
        upper = builder.icmp_signed("<", index, ir.Constant(kind, None))
        place = builder.inttoptr(_plus(builder, target, i, _BYTES), kind.as_pointer())
        builder.store(builder.select(upper, high, low), place, align=1)
        return state

    with builder.if_then(builder.icmp_signed(">", blocks, ir.Constant(_I64, 0))):
        _loop(builder, blocks, [], block)
    return builder.mul(blocks, ir.Constant(_I64, _BYTES))


@_intrinsic
def translate(typing_context: Any, table: Any, source: Any, flip: Any, target: Any, count: Any) -> Any:
    """Addresses of a table of 256 bytes, of ``count`` bytes and of where ``table[source ^ flip]`` goes; how many were done: 0 where the
    CPU has no instruction for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: list[Value]) -> Any:
        if not features_of(context.codegen()).issuperset(TABLE_FEATURES):
            return ir.Constant(_I64, 0)
        return emit_translation(builder, *arguments)

    return _types.int64(*[_types.int64] * 5), generate
