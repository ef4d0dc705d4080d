"""Tile operations of one MAC layer: [load weights] [load activations] compute ... requantize store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import ProgramError
from accelsim.graph import Boxes, MacGeometry, MacLayer
from accelsim.numerics import IntFormat
from accelsim.program.array_model import ArrayCost, ComputeTiles, array_cost
from accelsim.program.columns import LayerBlock
from accelsim.program.cost import lane_cycles
from accelsim.program.footprint import accumulator_words, packed_bytes, passes
from accelsim.program.im2col import IMPLICIT, Windows
from accelsim.program.kinds import Engine, Memory
from accelsim.program.mapping import MacMapping
from accelsim.program.site import Site
from accelsim.program.split import MacShare
from accelsim.program.stores import StoreGrid
from accelsim.program.transfers import Slots, operand, put_loads, put_stores

Index = NDArray[np.int64]


def cuts(size: int, tile: int) -> tuple[Index, Index]:
    """Starts and exclusive stops of ``size`` cut into pieces of ``tile``."""
    starts = np.arange(0, size, tile, dtype=np.int64)
    return starts, np.minimum(starts + tile, size)


@dataclass(frozen=True, eq=False)
class MacTiles:
    """Every compute tile of a layer in program order: boxes of output, weights and input, and where blocks begin and end."""

    output: Boxes
    weights: Boxes
    inputs: Boxes
    groups: Index
    first_step: NDArray[np.bool_]
    last_step: NDArray[np.bool_]
    new_weights: NDArray[np.bool_]
    new_inputs: NDArray[np.bool_]
    stops: tuple[Index, ...]
    order: tuple[int, ...]

    @cached_property
    def loaded_weights(self) -> Boxes:
        """The boxes of weights that are loaded."""
        return Boxes(self.weights.lo[self.new_weights], self.weights.hi[self.new_weights])

    @cached_property
    def loaded_inputs(self) -> Boxes:
        """The boxes of the input that are loaded."""
        return Boxes(self.inputs.lo[self.new_inputs], self.inputs.hi[self.new_inputs])

    @cached_property
    def finished(self) -> Boxes:
        """The boxes of the output that are requantized and stored."""
        return Boxes(self.output.lo[self.last_step], self.output.hi[self.last_step])

    @cached_property
    def reduction(self) -> Index:
        """Products of each sum in a tile."""
        extent = self.weights.hi - self.weights.lo
        products: Index = extent[:, 1] * extent[:, 2] * extent[:, 3]
        return products

    @cached_property
    def macs(self) -> Index:
        """Products of a tile."""
        return self.output.volume * self.reduction


def enumerate_tiles(g: MacGeometry, m: MacMapping) -> MacTiles:
    """The loop nest of ``m`` over ``g``, flattened; the reduction (kernel rows, columns, channels) is innermost."""
    from accelsim.program._tiles import loop_nest

    channels, outer = _channel_blocks(g, m), m.order == "weights_outer"
    size, tile = (g.n, g.oh, g.ow, g.kh, g.kw, g.ic_per_group), (m.n, m.oh, m.ow, m.kh, m.kw, m.ic)
    windows = (
        (g.stride_h, g.dilation_h, g.pad_top, g.upsample_h),
        (g.stride_w, g.dilation_w, g.pad_left, g.upsample_w),
    )
    sizes = (np.array(part, dtype=np.int64) for part in (size, tile, channels, windows, g.input_shape))
    boxes, groups, flags = loop_nest(*sizes, g.ic_per_group, outer)
    output, weights, inputs = (Boxes(lo, hi) for lo, hi in boxes)
    stops = tuple(cuts(size, tile)[1] for size, tile in ((g.n, m.n), (g.oh, m.oh), (g.ow, m.ow)))
    order = (3, 0, 1, 2) if outer else (0, 1, 2, 3)
    return MacTiles(output, weights, inputs, groups, *flags, stops=(*stops, channels[1]), order=order)


def _channel_blocks(g: MacGeometry, m: MacMapping) -> tuple[Index, Index, Index, Index]:
    """Output channels (lo, hi) and groups (lo, hi) of each channel tile."""
    group_lo, group_hi = cuts(g.groups, m.groups)
    if m.groups > 1 or m.oc >= g.oc_per_group:
        return group_lo * g.oc_per_group, group_hi * g.oc_per_group, group_lo, group_hi
    lo, hi = cuts(g.oc_per_group, m.oc)
    base = (group_lo * g.oc_per_group)[:, None]
    repeat = len(lo)
    return (base + lo).ravel(), (base + hi).ravel(), np.repeat(group_lo, repeat), np.repeat(group_hi, repeat)


def build_mac_layer(index: int, layer: MacLayer, mapping: MacMapping, site: Site, share: MacShare) -> LayerBlock:
    """All operations of one core's ``share`` of ``layer``, linked to its memories and to the stores of ``site``."""
    _check_bias(layer, site.arch)
    g = share.geometry
    tiles = _placed(site.once((g, mapping), lambda: enumerate_tiles(g, mapping)), share)
    standing = site.rings[Memory.WEIGHTS].standing(_only_weights(index, tiles))
    loads = tiles.new_weights & (standing < 0)
    per_tile = 1 + loads.astype(np.int64) + tiles.new_inputs + 2 * tiles.last_step
    begin = np.cumsum(per_tile) - per_tile
    block = LayerBlock(index, site.count, int(per_tile.sum()), share.core)
    weight_row = begin
    input_row = begin + loads
    compute_row = input_row + tiles.new_inputs
    weights = np.where(loads, weight_row + block.base, standing)
    _load_weights(block, layer, tiles, weights, compute_row, site)
    _load_inputs(block, layer, tiles, input_row, compute_row, site)
    cost = _cost(layer, tiles, site, (g, mapping))
    _compute(block, layer, tiles, cost, compute_row, site)
    _requantize_and_store(block, layer, tiles, compute_row, site)
    _link_compute(block, tiles, weights, input_row + block.base, compute_row)
    return block


def _only_weights(index: int, tiles: MacTiles) -> object:
    """A name for the weights of a share that are one tile; None where there are several."""
    return (
        (index, tiles.weights.lo[0].tobytes(), tiles.weights.hi[0].tobytes()) if tiles.new_weights.sum() == 1 else None
    )


def _placed(tiles: MacTiles, share: MacShare) -> MacTiles:
    """Tiles of a share where they stand in the layer."""
    if not any((*share.begin, share.input_channel)):
        return tiles
    inputs = (share.image, 0, 0, share.input_channel)
    moved = {"output": share.begin, "weights": (share.channel, 0, 0, 0), "inputs": inputs}
    boxes = {name: getattr(tiles, name).moved(by) for name, by in moved.items()}
    stops = tuple(axis + begin for axis, begin in zip(tiles.stops, share.begin, strict=True))
    return replace(tiles, **boxes, stops=stops)


def _check_bias(layer: MacLayer, arch: Arch) -> None:
    """ProgramError for the first bias that the machine's bias registers do not hold."""
    if layer.bias is None or arch.accumulator.bias_bits is None:
        return
    fmt = IntFormat(arch.accumulator.bias_bits)
    wide = np.flatnonzero((layer.bias < fmt.min) | (layer.bias > fmt.max))
    if wide.size:
        channel = int(wide[0])
        value = int(layer.bias[channel])
        raise ProgramError(
            f"layer {layer.name!r}: the bias {value} of output channel {channel} does not fit {fmt.bits} bits "
            f"({fmt.min}..{fmt.max}); widen accumulator.bias_bits, or set it to null: as wide as the sum",
            layer=layer.name,
            channel=channel,
            value=value,
            bits=fmt.bits,
        )


def _last_users(new: NDArray[np.bool_], users: Index) -> Index:
    """For each block that begins where ``new``, the last of ``users`` before the next one begins."""
    starts = np.flatnonzero(new)
    last: Index = users[np.append(starts[1:], len(new)) - 1]
    return last


def _load_weights(block: LayerBlock, layer: MacLayer, tiles: MacTiles, loads: Index, users: Index, site: Site) -> None:
    """Loads of new weights; where an earlier band's still stand (``loads`` before the block), their slot has new readers only."""
    new, ring = tiles.new_weights, site.rings[Memory.WEIGHTS]
    offset, free = ring.fill(_last_users(new, users) + block.base)
    ring.put(_only_weights(block.layer, tiles), int(loads[0]))
    if loads[0] < block.base:
        return
    boxes = tiles.loaded_weights
    size = site.packed_bytes(boxes, layer.weight_format.bits)
    source = operand(layer, 1) if len(layer.inputs) > 1 else None
    put_loads(block, loads[new] - block.base, boxes, Slots(Memory.WEIGHTS, offset, size, free), source, site)


def _load_inputs(block: LayerBlock, layer: MacLayer, tiles: MacTiles, rows: Index, users: Index, site: Site) -> None:
    new = tiles.new_inputs
    boxes, bits = tiles.loaded_inputs, site.bits(layer.inputs[0])
    windows = None
    if site.arch.activation_buffer.im2col != IMPLICIT:
        pixels, taps = (Boxes(part.lo[new], part.hi[new]) for part in (tiles.output, tiles.weights))
        windows = Windows(layer.geometry, pixels, taps, boxes)
    size = site.packed_bytes(boxes, bits) if windows is None else packed_bytes(windows.elements, bits)
    offset, free = site.rings[Memory.ACTIVATIONS].fill(_last_users(new, users) + block.base)
    slots = Slots(Memory.ACTIVATIONS, offset, size, free, windows)
    put_loads(block, rows[new], boxes, slots, operand(layer, 0), site)


def _cost(layer: MacLayer, tiles: MacTiles, site: Site, key: tuple[MacGeometry, MacMapping]) -> ArrayCost:
    """Of each compute tile; equal for layers of equal geometry, mapping and widths."""
    bits = site.bits(layer.inputs[0])
    return site.once((*key, layer.weight_format.bits, bits), lambda: _tile_costs(layer, tiles, bits, site.arch))


def _tile_costs(layer: MacLayer, tiles: MacTiles, bits: int, arch: Arch) -> ArrayCost:
    extent = tiles.weights.hi - tiles.weights.lo
    sizes = ComputeTiles(
        pixels=tiles.output.volume // extent[:, 0],
        reduction=tiles.reduction,
        channels=extent[:, 0] // tiles.groups,
        groups=tiles.groups,
        passes=passes(layer, bits, arch),
        products=arch.array.products(layer.weight_format.bits, bits),
        weights_kept=~tiles.new_weights,
        weight_bits=layer.weight_format.bits,
        activation_bits=bits,
    )
    return array_cost(sizes, arch)


def _compute(block: LayerBlock, layer: MacLayer, tiles: MacTiles, cost: ArrayCost, rows: Index, site: Site) -> None:
    volume = tiles.output.volume
    words = accumulator_words(site.bits(layer.inputs[0]), site.arch)
    tile_of = np.cumsum(tiles.first_step) - 1
    requantize = rows[tiles.last_step] + 1 + block.base
    offset, free = site.rings[Memory.ACCUMULATORS].fill(requantize)
    block.put(
        rows,
        Engine.COMPUTE,
        Memory.ACCUMULATORS,
        tiles.output,
        amount=tiles.macs,
        cycles=cost.cycles,
        latency=cost.latency,
        stream_cycles=cost.stream_cycles,
        weight_reads=cost.weight_reads,
        activation_reads=cost.activation_reads,
        accumulator_writes=cost.accumulator_writes * words,
        offset=offset[tile_of],
        extent=volume * words,
    )
    block.wait(rows[tiles.first_step], free)


def _link_compute(block: LayerBlock, tiles: MacTiles, weights: Index, inputs: Index, compute_row: Index) -> None:
    """Each compute reads the weights and inputs loaded last, and adds to the partial sums of the step before."""
    for new, loads in ((tiles.new_weights, weights), (tiles.new_inputs, inputs)):
        current = np.maximum.accumulate(np.where(new, loads, -1))
        block.wait(compute_row, current, source=True)
    later = np.flatnonzero(~tiles.first_step)
    block.wait(compute_row[later], compute_row[later - 1] + block.base, source=True)


def _requantize_and_store(block: LayerBlock, layer: MacLayer, tiles: MacTiles, compute_row: Index, site: Site) -> None:
    last = tiles.last_step
    boxes = tiles.finished
    size = site.packed_bytes(boxes, site.bits(layer.output))
    compute, requantize, store = compute_row[last], compute_row[last] + 1, compute_row[last] + 2
    offset, free = site.rings[Memory.OUTPUTS].fill(store + block.base)
    lanes = lane_cycles(boxes.volume, site.arch.requantizer.lanes)
    block.put(
        requantize,
        Engine.REQUANTIZE,
        Memory.OUTPUTS,
        boxes,
        amount=boxes.volume,
        cycles=lanes,
        offset=offset,
        extent=size,
    )
    block.wait(requantize, compute + block.base, source=True)
    block.wait(requantize, free)
    put_stores(block, store, boxes, size, requantize, layer, site)
    site.stored(
        layer.output,
        StoreGrid(
            view=layer.output_shape,
            stops=tiles.stops,
            order=tiles.order,
            operations=store + block.base,
            begin=tuple(boxes.lo[0].tolist()),
        ),
    )
