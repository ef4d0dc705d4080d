"""Random networks of operands of 1 to 16 bits, mixed per layer, machines for them, and their values in plain integers."""

from __future__ import annotations

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.execute import accumulator_formats
from accelsim.execute.proof import prove
from accelsim.graph import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    MacGeometry,
    MacLayer,
    Reshape,
    StridedSlice,
    Tensor,
    Transpose,
    TransposeConv2D,
)
from accelsim.numerics import BIPOLAR, INT64, IntFormat, Overflow, Requant, Requantization, Thresholds, requantize_int
from accelsim.program import MacMapping, Program
from tests.generate import COMMON, DRAWERS, Builder, random_arch, random_codes, random_mappings
from tests.kernels.layers import sums_by_definition

Rng = np.random.Generator
WIDEST_TABLE = 6
"""Output bits up to which a layer may end in thresholds."""
MIXED = (Conv2D, Conv2D, DepthwiseConv2D, TransposeConv2D, Dense, Dense, Transpose, Transpose, StridedSlice)


def random_format(rng: Rng, *, most: int = 16) -> IntFormat:
    """Bipolar, or 1 to ``most`` bits with or without a sign."""
    if rng.random() < 0.15:
        return BIPOLAR
    return IntFormat(int(rng.integers(1, most + 1)), signed=bool(rng.integers(2)))


def codes_of(rng: Rng, shape: tuple[int, ...], fmt: IntFormat) -> np.ndarray:
    """Codes over the whole format; two-bit signed ones are ternary half of the time."""
    if fmt == IntFormat(2) and rng.random() < 0.5:
        return rng.integers(-1, 2, shape).astype(fmt.dtype)
    return random_codes(rng, shape, fmt)


def sign(channels: int, rng: Rng, spread: int) -> Thresholds:
    """-1 below a level per channel, +1 from it on: two equal levels, passed together."""
    levels = np.repeat(rng.integers(-spread, spread + 1, (channels, 1)), 2, axis=1)
    step = rng.choice([-1, 1], channels)
    return Thresholds(levels=levels, start=-step, step=step)


class MixedBuilder(Builder):
    """Layers that multiply and layers that move, each tensor and all weights in a format of their own."""

    def format(self) -> IntFormat:
        return random_format(self.rng)

    def zero(self, fmt: IntFormat, reach: int = 9) -> int:
        return 0 if fmt.bipolar else int(self.rng.integers(max(fmt.min, -reach), min(fmt.max, reach) + 1))

    def mac(self, kind: type[MacLayer], x: Tensor, geometry: MacGeometry) -> Tensor:
        fmt = random_format(self.rng)
        common = {
            "geometry": geometry,
            "weights": codes_of(self.rng, geometry.weight_shape, fmt),
            "weight_format": fmt,
            "bias": self.rng.integers(-100, 101, geometry.oc) if self.rng.random() < 0.8 else None,
            "input_zero_point": x.zero_point,
        }
        alone = kind(**common, name="?", inputs=(x.name,), output="?")
        bound = prove(alone, input_format=x.format, accumulator=INT64).bound
        requant, made = self.scaled_down(geometry.oc, bound)
        return self.layer(kind, (x,), geometry.output_shape, made, requant=requant, **common)

    def scaled_down(self, channels: int, bound: int) -> tuple[Requantization, IntFormat]:
        """Multiplier and shift where sums fit 32 bits, else thresholds; and the format of the codes."""
        rng, spread = self.rng, max(1, bound // 8)
        wide = bound >= 2**31
        fmt = random_format(rng, most=WIDEST_TABLE if wide else 16)
        if fmt.bipolar:
            return sign(channels, rng, spread), fmt
        if wide or (fmt.bits <= WIDEST_TABLE and rng.random() < 0.3):
            levels = np.sort(rng.integers(-spread, spread + 1, (channels, fmt.max - fmt.min)), axis=1)
            return Thresholds(levels=levels, start=np.array([fmt.min]), step=np.array([1])), fmt
        exponent = int(np.ceil(np.log2((fmt.max - fmt.min) / spread)))
        multiplier = rng.integers(2**30, 2**31 - 1, channels).astype(np.int32)
        shift = np.full(channels, min(0, max(-30, exponent)), dtype=np.int32)
        return Requant("tflite_double", multiplier, shift, 0, fmt.min, fmt.max), fmt


def mixed_graph(rng: Rng, *, most_layers: int = 4) -> Graph:
    """A network of a few layers of mixed widths."""
    builder = MixedBuilder(rng, arithmetic="tflite-micro")
    kinds = rng.choice(len(MIXED), int(rng.integers(0, most_layers)))
    for drawer in (COMMON[Conv2D], *(DRAWERS[MIXED[kind]] for kind in kinds)):
        drawer(builder)
    return builder.graph()


def mixed_input(rng: Rng, graph: Graph) -> dict[str, np.ndarray]:
    """One inference."""
    return {
        p.tensor: codes_of(rng, graph.tensors[p.tensor].shape, graph.tensors[p.tensor].format) for p in graph.inputs
    }


def mixed_arch(rng: Rng, *, systolic: bool = False) -> Arch:
    """A machine with every knob of the array and the accumulators at random; it never traps."""
    bricks, resident = bool(rng.integers(2)), int(rng.choice([0, 200, 4000]))
    ports = [2, 4, 8, 16] if bricks else [1, 2, 3, 5, 8, 16]
    edits = {f"array.{port}": int(rng.choice(ports)) for port in ("weight_bits", "activation_bits")}
    edits |= {
        "array.brick_bits": 2 if bricks else None,
        "accumulator.bits": int(rng.choice([8, 11, 16, 20, 24, 31, 32, 33, 48, 64])),
        "accumulator.overflow": str(rng.choice(["wrap", "saturate", "saturate_symmetric"])),
        "accumulator.products_per_add": ["tile", 1, 2, 3, 4, 16][int(rng.integers(6))],
        "accumulator.word_per_slice": bool(rng.integers(2)),
        "accumulator.count": int(rng.integers(32, 200)),
        "weight_buffer.size_bytes": int(rng.integers(32, 800)),
        "activation_buffer.size_bytes": resident + int(rng.integers(800, 4000)),
        "activation_buffer.resident_bytes": resident,
        "activation_buffer.fuse_pairs": resident > 0,
        "output_buffer.size_bytes": int(rng.integers(200, 1000)),
        "dma.whole_weight_tiles": False,
    }
    edits["cores.count"] = 1 if resident else int(rng.choice([1, 2, 3]))
    drawn = random_arch(rng, sharing=0.0)
    if systolic and drawn.array.dataflow == "adder_tree":
        drawn = drawn.with_({"array.dataflow": "weight_stationary"})
    if drawn.array.dataflow == "adder_tree":
        edits |= {"array.brick_bits": None, "accumulator.products_per_add": drawn.array.rows}
    return drawn.with_(edits)


def mixed_program(seed: int, **edits: object) -> Program:
    """A network of mixed widths on a machine, in the mapper's tiles or in worse ones."""
    rng = np.random.default_rng(seed)
    graph, arch = mixed_graph(rng), mixed_arch(rng, systolic=bool(edits)).with_(edits)
    return build_program(graph, arch=arch, mappings=random_mappings(rng, graph, arch))


def values_by_definition(program: Program, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of one inference, each sum in plain integers, in the order of the Program's tiles."""
    values, sums = dict(inputs), program.arch.accumulator
    formats = accumulator_formats(program.graph, program.arch)
    for layer, mapping in zip(program.graph.layers, program.mappings, strict=True):
        x, tensor = values[layer.inputs[0]], program.graph.tensors[layer.output]
        if isinstance(layer, MacLayer) and isinstance(mapping, MacMapping):
            totals = sums_by_definition(
                layer,
                x.reshape(layer.geometry.input_shape),
                accumulator=formats[layer.name],
                overflow=Overflow(sums.overflow),
                tile=(mapping.kh, mapping.kw, mapping.ic),
                per_add=sums.products_per_add,
            )
            made = [requantize_int(int(t), layer.requant, i % totals.shape[-1]) for i, t in enumerate(totals.ravel())]
            x = np.array(made)
        elif isinstance(layer, Transpose):
            x = x.transpose(layer.permutation)
        elif isinstance(layer, StridedSlice):
            cuts = zip(layer.begin, layer.strides, layer.shape, strict=True)
            x = x[np.ix_(*([b + s * i for i in range(n)] for b, s, n in cuts))]
        else:
            assert isinstance(layer, Reshape)
        values[layer.output] = x.reshape(tensor.shape).astype(tensor.format.dtype)
    return values
