"""The activity reader: the Program's compute tiles on real data, counted register by register or from sampled tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.activity.operands import Operands
from accelsim.activity.record import Activity, WireActivity
from accelsim.activity.room import check_room
from accelsim.activity.toggles import WIRES, ToggleArray, significant_bits, stream_toggles, tile_toggles, zero_products
from accelsim.arch import Arch
from accelsim.energy import is_corrected
from accelsim.errors import InputError, held_in_memory
from accelsim.execute import Transfers, WholeReader, accumulator_formats, order_free, prove_graph
from accelsim.graph import Graph, MacLayer, MatMul
from accelsim.hardware import WORD_BITS, Engine, run_length_code
from accelsim.numerics import IntFormat
from accelsim.program import Program

Array = NDArray[Any]
Column = NDArray[np.float64]
BUS_BITS = 64
"""Width of the DRAM bus: the data width of a DDR4 DIMM (JEDEC Standard 79-4), a named assumption for other machines."""
_TRANSFERS = (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.STORE)


class Figures(NamedTuple):
    """Of each counted tile: products with a zero operand, significant bits of both operands over all products, counts by wire."""

    zeros: Column
    weight_bits: Column
    activation_bits: Column
    wires: Column


def measure_activity(
    program: Program, inputs: Mapping[str, Array], *, sample: int | None = None, seed: int = 0
) -> tuple[Activity, ...]:
    """Activity of every MAC layer over one inference; ``inputs`` are integer tensors by name in their Graph shapes.

    ``sample`` counts that many compute tiles per layer (simple random sampling without replacement, seeded) and scales up:
    total = N mean(y), standard error N sqrt((1 - n/N) var(y) / n) (Cochran, Sampling Techniques, 1977, chapter 2). DRAM
    transfers are always counted in full. InputError for a graph of shapes only, or fewer than 2 sampled tiles; CapacityError,
    before anything is counted, for a layer with a tile whose operands and registers are not held.
    """
    _refuse(program)
    if sample is not None and sample < 2:
        raise InputError(f"activity: sample must be at least 2 compute tiles, got {sample}; an error needs two")
    parts = list(_parts(program))
    for part in parts:
        check_room(program, part.layer, part.tiles, part.array)
    with held_in_memory(f"the activity of {program.graph.name!r}", remedy="run it where there is more"):
        return _measure(program, parts, inputs, sample, np.random.default_rng(seed))


class _Part(NamedTuple):
    """A MAC layer, its number, its compute tiles (operations, ascending), and the registers while they run."""

    number: int
    layer: MacLayer
    tiles: NDArray[np.int64]
    array: ToggleArray


def _parts(program: Program) -> Iterator[_Part]:
    compute = program.of_engine(Engine.COMPUTE)
    for index, layer in enumerate(program.graph.layers):
        if isinstance(layer, MacLayer):
            array = toggle_array(layer, graph=program.graph, arch=program.arch)
            yield _Part(index, layer, np.flatnonzero(compute & (program.layer == index)), array)


def _measure(
    program: Program,
    parts: Sequence[_Part],
    inputs: Mapping[str, Array],
    sample: int | None,
    rng: np.random.Generator,
) -> tuple[Activity, ...]:
    accumulators = accumulator_formats(program.graph, program.arch)
    tensors = WholeReader(program.graph, accumulators=accumulators).run(inputs, keep="all")
    transfers, measured = Transfers(program, tensors), []
    ends = {name for part in parts for name in (part.layer.inputs[0], part.layer.output)}
    codes = {name: _code(program.graph, tensors, name) for name in ends}
    for number, layer, tiles, array in parts:
        chosen = tiles if sample is None or sample >= len(tiles) else np.sort(rng.choice(tiles, sample, False))
        figures = _count(program, Operands(layer, program=program, tensors=tensors), chosen.tolist(), array)
        found = _activity(layer, figures, len(tiles), array, _dram_bus(program, number, transfers))
        measured.append(replace(found, input_code=codes[layer.inputs[0]], output_code=codes[layer.output]))
    return tuple(measured)


def _code(graph: Graph, tensors: Mapping[str, Array], name: str) -> float:
    """Bits of the run-length code of a tensor, whose zero point is its 0, over its own."""
    tensor = graph.tensors[name]
    values = tensors[name].reshape(-1).astype(np.int64) - tensor.zero_point & (1 << tensor.format.bits) - 1
    return min(1.0, WORD_BITS * len(run_length_code(values, tensor.format.bits)) / (values.size * tensor.format.bits))


def _refuse(program: Program) -> None:
    """InputError for machines whose registers are not described here."""
    graph, arch = program.graph, program.arch
    if graph.shape_only:
        raise InputError(f"activity: {graph.name!r} holds shapes only; give a model with weights")
    if arch.array.flow.broadcast:
        raise InputError(
            "activity: array.dataflow adder_tree has no registers between its MACs to count; choose a systolic one"
        )
    corrected = [layer.name for layer in graph.layers if is_corrected(layer, arch)]
    if corrected:
        raise InputError(
            f"activity: array.weight_zero_points of extra_channel multiplies codes of the weights of layer {corrected[0]!r}, and what is "
            "counted are factors without their zero points; choose subtract"
        )
    proofs = prove_graph(graph, arch)
    if not order_free(proofs, arch.accumulator.overflow):
        unsafe = next(proof.layer for proof in proofs if not proof.safe)
        raise InputError(
            f"activity: the accumulators of layer {unsafe!r} may overflow and do not wrap, so that their words are not known; "
            "widen accumulator.bits"
        )


def toggle_array(layer: MacLayer, *, graph: Graph, arch: Arch) -> ToggleArray:
    """The registers of ``arch`` while ``layer`` runs: operands with their zero point subtracted need one bit more."""
    fmt = graph.tensors[layer.inputs[0]].format
    right_zero = layer.right_zero_point if isinstance(layer, MatMul) else 0
    return ToggleArray(
        dataflow=arch.array.dataflow,
        rows=arch.array.rows,
        cols=arch.array.cols,
        products=arch.array.products(layer.code_format.bits, fmt.bits),
        activation_bits=_operand_bits(fmt, layer.input_zero_point),
        weight_bits=_operand_bits(layer.weight_format, right_zero),
        accumulator_bits=accumulator_formats(graph, arch)[layer.name].bits,
    )


def _operand_bits(fmt: IntFormat, zero_point: int) -> int:
    """-1, +1 and the 0 of padding take two bits."""
    return fmt.bits + (zero_point != 0 or fmt.bipolar)


def _count(program: Program, operands: Operands, chosen: list[int], array: ToggleArray) -> Figures:
    """Figures of each chosen tile; zeros for one without channels."""
    zeros, bits = np.zeros(len(chosen)), np.zeros((2, len(chosen)))
    wires = np.zeros((len(chosen), len(WIRES), 2))
    row_of = {operation: row for row, operation in enumerate(chosen)}
    for operation, x, w, start in _with_starts(program, operands, chosen):
        if operation in row_of and w.shape[1]:
            row, kept = row_of[operation], bool(program.weight_reads[operation] == 0)
            zeros[row], bits[:, row] = zero_products(x, w), significant_bits(x, w)
            wires[row] = tile_toggles(x, w, start, array=array, kept=kept)
    return Figures(zeros=zeros, activation_bits=bits[0], weight_bits=bits[1], wires=wires)


def _with_starts(program: Program, operands: Operands, chosen: list[int]) -> Iterator[tuple[int, Array, Array, Array]]:
    """The chosen tiles and those whose partial sums they continue: (operation, x, w, sums before), in program order."""
    needed, continued = set(chosen), set()
    for operation in chosen:
        while (before := _before(program, operation)) is not None and before not in continued:
            continued.add(before)
            operation = before
    sums: dict[int, Array] = {}
    for operation in sorted(needed | continued):
        x, w = operands.of(operation)
        before = _before(program, operation)
        start = operands.bias(operation, x.shape[:2]) if before is None else sums.pop(before)
        yield operation, x, w, start
        if operation in continued:
            sums[operation] = start + operands.product(x, w)


def _before(program: Program, operation: int) -> int | None:
    """The compute operation whose sums ``operation`` continues."""
    sources = program.operands(operation)
    return int(sources[2]) if len(sources) == 3 else None


def _dram_bus(program: Program, index: int, transfers: Transfers) -> WireActivity:
    """Words of BUS_BITS of each transfer of a layer, packed as the DMA moves them."""
    toggled = transitions = 0
    for i in np.flatnonzero((program.layer == index) & np.isin(program.engine, _TRANSFERS)).tolist():
        data = transfers.packed(i)
        words = np.pad(data, (0, -len(data) % (BUS_BITS // 8))).view(np.uint64)
        toggled, transitions = toggled + stream_toggles(words), transitions + max(0, len(words) - 1)
    return WireActivity(bits=BUS_BITS, transitions=transitions, toggled_bits=toggled)


def _activity(layer: MacLayer, figures: Figures, tiles: int, array: ToggleArray, bus: WireActivity) -> Activity:
    zeros, weight_bits, activation_bits, counts = (_estimate(column, tiles) for column in figures)
    wires = {
        wire: WireActivity(
            bits=array.bits(wire), transitions=float(passed), toggled_bits=float(toggled), error=float(error)
        )
        for wire, (toggled, passed), (error, _) in zip(WIRES, counts.total, counts.error, strict=True)
    }
    return Activity(
        layer=layer.name,
        macs=layer.macs,
        zero_macs=float(zeros.total),
        zero_macs_error=float(zeros.error),
        weight_significant_bits=float(weight_bits.total) / layer.macs,
        activation_significant_bits=float(activation_bits.total) / layer.macs,
        tiles=tiles,
        sampled_tiles=len(figures.zeros),
        wires=wires | {"dram_bus": bus},
    )


class Estimate(NamedTuple):
    """Total over all tiles, and its standard error."""

    total: Column
    error: Column


def _estimate(column: Column, tiles: int) -> Estimate:
    count, total = len(column), column.sum(axis=0)
    if count == tiles:
        return Estimate(total, np.zeros_like(total))
    variance = column.var(axis=0, ddof=1)
    return Estimate(tiles * column.mean(axis=0), tiles * np.sqrt((1 - count / tiles) * variance / count))
