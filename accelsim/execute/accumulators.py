"""What the accumulators of each layer must hold: by formats, by weights, by observation; and what runs because of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.execute.proof import accumulator_formats, order_free, prove
from accelsim.execute.tape import TapeWriter
from accelsim.execute.whole import WholeReader
from accelsim.graph import Graph, MacLayer, MatMul
from accelsim.kernels import centred, partial_sum_peaks
from accelsim.mapper import divide_memory, map_layer
from accelsim.numerics import IntFormat
from accelsim.program import MacMapping

Array = NDArray[Any]
Reader = Literal["layers", "program"]

TAPE = "tape, 32-bit sums"
WIDE = "exact, 64-bit sums"
WRAPPED = "exact, 64-bit sums, wrapped once"
IN_ORDER = "tiles, product by product"
IN_GROUPS = "tiles, sum by sum of the adder tree"
TILES = "tiles, exact"
NOTHING = "none: shapes only"


@dataclass(frozen=True, kw_only=True)
class AccumulatorRecord:
    """Bounds on the partial sums of one layer, in any order of summation, and the accumulator that holds them.

    ``formats_bound`` holds for all weights of their format (the layer's own biases included), ``weights_bound`` for its
    weights with all inputs; None where the layer has no constant weights. ``observed`` is the lowest and the highest
    partial sum over the given inputs, after each addition in the machine's order, without overflow; None without inputs. ``kernel`` names
    what computes the layer's sums.
    """

    layer: str
    operator: str
    reduction: int
    accumulator: IntFormat
    formats_bound: int
    weights_bound: int | None
    observed: tuple[int, int] | None
    kernel: str

    @property
    def bound(self) -> int:
        """The tightest proved bound."""
        return self.formats_bound if self.weights_bound is None else self.weights_bound

    @property
    def proved(self) -> bool:
        """Whether no partial sum can leave the accumulator."""
        return self.bound <= self.accumulator.max

    @property
    def formats_bits(self) -> int:
        """Narrowest signed accumulator that is safe with any weights."""
        return bits_of(-self.formats_bound, self.formats_bound)

    @property
    def weights_bits(self) -> int | None:
        """Narrowest signed accumulator that is safe with these weights and any inputs."""
        return None if self.weights_bound is None else bits_of(-self.weights_bound, self.weights_bound)

    @property
    def observed_bits(self) -> int | None:
        """Narrowest signed accumulator that held every partial sum of the given inputs; no promise for others."""
        return None if self.observed is None else bits_of(*self.observed)


@dataclass(frozen=True, kw_only=True)
class AccumulatorReport:
    """One record per MAC layer, in network order.

    ``overflow`` is the machine's policy, None without a machine; ``inferences`` counts the observed inputs; ``reader``
    is what computes values: ``layers`` (whole-layer kernels), ``program`` (tiles in the array's own order), or None for
    a network that carries shapes only.
    """

    records: tuple[AccumulatorRecord, ...]
    reader: Reader | None
    overflow: str | None
    inferences: int

    @property
    def proved(self) -> bool:
        """Whether no accumulator of the network can overflow."""
        return all(record.proved for record in self.records)


def bits_of(low: int, high: int) -> int:
    """Bits of the narrowest signed format that holds ``low`` to ``high``: -128 to 127 take 8."""
    return max(high, -low - 1).bit_length() + 1


def accumulator_report(
    graph: Graph, *, arch: Arch | None = None, inputs: Mapping[str, Array] | None = None
) -> AccumulatorReport:
    """What each MAC layer of ``graph`` asks of its accumulators on ``arch``, or of the source arithmetic's without one.

    ``inputs`` are integer tensors by Graph name with a leading axis of inferences; where they are given, every partial
    sum is observed, in the order of the mapper's tiles (kernel row, kernel column, channel without a machine). Raises
    InputError for inputs that do not fit and MappingError where no tile fits the machine.
    """
    layers = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    formats = {layer.name: layer.accumulator for layer in layers} if arch is None else accumulator_formats(graph, arch)
    overflow = None if arch is None else str(arch.accumulator.overflow)
    proofs = [prove(layer, input_format=_input(graph, layer), accumulator=formats[layer.name]) for layer in layers]
    reader = _reader(graph, order_free(proofs, overflow))
    kernels = _kernels(graph, None if arch is None else formats) if reader == "layers" else {}
    in_order = IN_ORDER if arch is None or arch.accumulator.products_per_add == 1 else IN_GROUPS
    observed = {} if inputs is None else _observe(graph, arch, inputs)
    records = tuple(
        AccumulatorRecord(
            layer=layer.name,
            operator=layer.operator,
            reduction=layer.geometry.reduction,
            accumulator=formats[layer.name],
            formats_bound=formats_bound(layer, input_format=_input(graph, layer)),
            weights_bound=None if layer.weights is None else proof.bound,
            observed=observed.get(layer.name),
            kernel=_kernel(layer, kernels, safe=proof.safe, exact=arch is None, in_order=in_order),
        )
        for layer, proof in zip(layers, proofs, strict=True)
    )
    count = 0 if inputs is None else len(next(iter(inputs.values())))
    return AccumulatorReport(records=records, reader=reader, overflow=overflow, inferences=count)


def formats_bound(layer: MacLayer, *, input_format: IntFormat) -> int:
    """``reduction * max |w - z_w| * max |x - z| + max |b|`` over all codes of the formats, and the biases that the layer has.

    ``z_w`` is 0 for constant weights. The data-type bound of Colbert, Pappalardo, Petri-Koenig (A2Q, 2023, section 3), with zero point and bias.
    """
    reach = max(input_format.max - layer.input_zero_point, layer.input_zero_point - input_format.min)
    bias = 0 if layer.array_bias is None else max(abs(int(layer.array_bias.min())), abs(int(layer.array_bias.max())))
    return layer.geometry.reduction * layer.weight_reach * reach + bias


def _input(graph: Graph, layer: MacLayer) -> IntFormat:
    return graph.tensors[layer.inputs[0]].format


def _reader(graph: Graph, is_order_free: bool) -> Reader | None:
    """Whole layers where the order of sums is irrelevant."""
    if graph.shape_only:
        return None
    return "layers" if is_order_free else "program"


def _kernels(graph: Graph, formats: Mapping[str, IntFormat] | None) -> dict[str, str]:
    """The whole-layer kernel of each MAC layer: on the tape where its record can be written, by itself elsewhere."""
    writer = TapeWriter(graph, dict.fromkeys(graph.tensors, 0), formats)
    macs = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    return {layer.name: WIDE if writer.record(layer) is None else TAPE for layer in macs}


def _kernel(layer: MacLayer, kernels: Mapping[str, str], *, safe: bool, exact: bool, in_order: str) -> str:
    if layer.requant is None:
        return NOTHING
    if layer.name not in kernels:
        return TILES if safe else in_order
    return WRAPPED if kernels[layer.name] == WIDE and not safe and not exact else kernels[layer.name]


def _observe(graph: Graph, arch: Arch | None, inputs: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    """Lowest and highest partial sum of each MAC layer over all inferences, each layer fed with exact values."""
    reader, tiles = WholeReader(graph), _reduction_tiles(graph, arch)
    per_add = 1 if arch is None else arch.accumulator.products_per_add
    peaks: dict[str, tuple[int, int]] = {}
    state: dict[str, Array] = {}
    for i in range(len(next(iter(inputs.values())))):
        values = reader.run({name: batch[i] for name, batch in inputs.items()} | state, keep="all")
        state = graph.carried(values)
        for layer in graph.layers:
            if isinstance(layer, MacLayer):
                x = values[layer.inputs[0]].reshape(layer.geometry.input_shape)
                tile, weights = tiles.get(layer.name), _right_operand(layer, values)
                low, high = partial_sum_peaks(layer, x, weights=weights, reduction_tile=tile, products_per_add=per_add)
                before = peaks.get(layer.name, (low, high))
                peaks[layer.name] = min(low, before[0]), max(high, before[1])
    return peaks


def _right_operand(layer: MacLayer, values: Mapping[str, Array]) -> Array | None:
    """The factors of a product of two activations, zero point subtracted; None for any other layer."""
    if not isinstance(layer, MatMul):
        return None
    return centred(values[layer.inputs[1]].reshape(layer.geometry.weight_shape), layer.right_zero_point)


def _reduction_tiles(graph: Graph, arch: Arch | None) -> dict[str, tuple[int, int, int]]:
    """Kernel rows, columns and channels of one compute tile of each MAC layer on ``arch``; nothing without a machine."""
    if arch is None:
        return {}
    arch = divide_memory(graph, arch=arch)
    macs = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    mappings = {layer.name: map_layer(layer, graph=graph, arch=arch) for layer in macs}
    return {name: (m.kh, m.kw, m.ic) for name, m in mappings.items() if isinstance(m, MacMapping)}
