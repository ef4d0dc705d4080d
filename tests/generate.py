"""Random networks, machines and mappings for the property tests; everything follows from one seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.graph import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    FloatTableSoftmax,
    Graph,
    HostPort,
    Layer,
    LayerNorm,
    MacGeometry,
    MacLayer,
    MatMul,
    MaxPool2D,
    Mean,
    OperandScale,
    Pad,
    ReduceMax,
    ReduceMin,
    Rescale,
    Reshape,
    ResizeNearest,
    StridedSlice,
    Tensor,
    Transpose,
    TransposeConv2D,
    VectorLayer,
)
from accelsim.mapper import map_graph
from accelsim.numerics import INT8, Requant, Requantization, Thresholds
from accelsim.program import MacMapping, Mapping, Program, VectorMapping
from accelsim.program.fusion import fuse, obstacle, row_axis, window_bytes

Rng = np.random.Generator


def requant(rng: Rng, channels: int = 1, *, gain: float = 0.01) -> Requant:
    """A tflite_double record that maps sums of about 1/gain to codes."""
    exponent = np.full(channels, int(np.ceil(np.log2(gain))), dtype=np.int32)
    multiplier = rng.integers(2**30, 2**31 - 1, channels).astype(np.int32)
    return Requant(
        scheme="tflite_double",
        multiplier=multiplier,
        shift=exponent,
        zero_point=int(rng.integers(-20, 20)),
        clamp_min=-128,
        clamp_max=127,
    )


def thresholds(rng: Rng, channels: int, *, spread: float) -> Thresholds:
    """Up to 40 levels within about ``spread`` of 0, some equal, codes that rise or fall; all stay in 8 bits."""
    levels = np.sort(rng.normal(0, spread, (channels, int(rng.integers(0, 41)))).astype(np.int64), axis=1)
    return Thresholds(levels=levels, start=rng.integers(-80, 80, channels), step=rng.choice([-1, 1], channels))


def ending(rng: Rng, channels: int, gain: float) -> Requantization:
    """What a layer of weights ends in: a multiplier, or, one time in five, thresholds; per channel or for all."""
    count = channels if rng.random() < 0.7 else 1
    multiplier, own = requant(rng, count, gain=gain), rng.spawn(1)[0]
    return thresholds(own, count, spread=40 / gain) if own.random() < 0.2 else multiplier


class Builder:
    """A network under construction: every method appends one random layer that reads the newest tensors."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        shape = (int(rng.integers(1, 3)), int(rng.integers(3, 9)), int(rng.integers(3, 9)), int(rng.integers(1, 7)))
        self.tensors = {"x": Tensor("x", shape, INT8, int(rng.integers(-10, 10)))}
        self.layers: list[Layer] = []
        self.images = ["x"]

    def tensor(self, shape: tuple[int, ...]) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = Tensor(name, shape, INT8)
        return name

    def image(self) -> Tensor:
        return self.tensors[self.images[int(self.rng.integers(max(0, len(self.images) - 2), len(self.images)))]]

    def mac(self, kind: type[MacLayer], x: Tensor, geometry: MacGeometry) -> None:
        gain = 1 / (30 * np.sqrt(geometry.reduction) * 60)
        layer = kind(
            name=f"{kind.__name__}_{len(self.layers)}",
            inputs=(x.name,),
            output=self.tensor(geometry.output_shape),
            geometry=geometry,
            weights=self.rng.integers(-127, 128, geometry.weight_shape).astype(np.int8),
            weight_format=INT8,
            bias=self.rng.integers(-2000, 2000, geometry.oc).astype(np.int64),
            input_zero_point=x.zero_point,
            requant=ending(self.rng, geometry.oc, gain),
        )
        self.layers.append(layer)
        self.images.append(layer.output)

    def conv(self) -> None:
        x, rng = self.image(), self.rng
        n, ih, iw, ic = x.shape
        kh, kw = int(rng.integers(1, min(4, ih + 1))), int(rng.integers(1, min(4, iw + 1)))
        stride, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        kind: type[MacLayer] = [Conv2D, Conv2D, DepthwiseConv2D, TransposeConv2D][int(rng.integers(4))]
        groups = ic if kind is DepthwiseConv2D else int(rng.choice([g for g in (1, 1, 2, 3) if ic % g == 0]))
        oc = groups * int(rng.integers(1, 4 if groups > 2 else 20))
        upsample = stride if kind is TransposeConv2D else 1
        stride = 1 if kind is TransposeConv2D else stride
        pads = int(rng.integers(0, kh)), int(rng.integers(0, kw))
        spread_h, spread_w = (ih - 1) * upsample + 1, (iw - 1) * upsample + 1
        reach_h, reach_w = (kh - 1) * dilation + 1, (kw - 1) * dilation + 1
        geometry = MacGeometry(
            n=n,
            ih=ih,
            iw=iw,
            ic=ic,
            oh=max(1, (spread_h + 2 * pads[0] - reach_h) // stride + 1),
            ow=max(1, (spread_w + 2 * pads[1] - reach_w) // stride + 1),
            oc=oc,
            kh=kh,
            kw=kw,
            stride_h=stride,
            stride_w=stride,
            dilation_h=dilation,
            dilation_w=dilation,
            pad_top=pads[0],
            pad_left=pads[1],
            upsample_h=upsample,
            upsample_w=upsample,
            groups=groups,
        )
        self.mac(kind, x, geometry)

    def dense(self) -> None:
        x = self.image()
        rows, k = x.shape[0], int(np.prod(x.shape[1:]))
        flat = self.reshape(x, (rows, k))
        oc = int(self.rng.integers(1, 30))
        self.mac(Dense, flat, MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=oc))

    def column(self, x: Tensor) -> Tensor:
        """A few pixels of one column of an image, (1, rows, 1, channels)."""
        n, h, w, c = x.shape
        begin = int(self.rng.integers(n)), 0, int(self.rng.integers(w)), 0
        self.vector(StridedSlice, (x.name,), (1, min(h, 6), 1, c), begin=begin, strides=(1, 1, 1, 1))
        return self.tensors[self.layers[-1].output]

    def matmul(self) -> None:
        """A product of two images' columns, of the same one's half the time; in one group its right operand has its own view."""
        left = self.image()
        others = [t for t in self.images if self.tensors[t].shape[3] == left.shape[3]]
        right = left if self.rng.random() < 0.5 else self.tensors[others[int(self.rng.integers(len(others)))]]
        left, right = self.column(left), self.column(right)
        m, n, c = left.shape[1], right.shape[1], left.shape[3]
        groups = int(self.rng.choice([g for g in (1, 1, 2, 3) if c % g == 0]))
        if groups == 1:
            self.vector(Transpose, (right.name,), (n, 1, 1, c), permutation=(1, 0, 2, 3))
            right = self.tensors[self.layers[-1].output]
        geometry = MacGeometry(n=1, ih=m, iw=1, ic=c, oh=m, ow=1, oc=groups * n, groups=groups)
        layer = MatMul(
            name=f"MatMul_{len(self.layers)}",
            inputs=(left.name, right.name),
            output=self.tensor(geometry.output_shape),
            geometry=geometry,
            weights=None,
            weight_format=right.format,
            input_zero_point=int(self.rng.integers(-128, 128)),
            right_zero_point=int(self.rng.integers(-128, 128)),
            requant=requant(self.rng, gain=1 / (30 * np.sqrt(geometry.reduction) * 120)),
        )
        self.layers.append(layer)
        self.images.append(layer.output)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        layer = Reshape(
            name=f"Reshape_{len(self.layers)}",
            inputs=(x.name,),
            output=self.tensor(shape),
            shapes=(x.shape,),
            shape=shape,
        )
        self.layers.append(layer)
        return self.tensors[layer.output]

    def add(self) -> None:
        x = self.image()
        other = [t for t in self.images if self.tensors[t].shape == x.shape]
        y = other[int(self.rng.integers(len(other)))]
        scale = OperandScale(zero_point=3, multiplier=2**30 + 12345, exponent=0, left_shift=20)
        self.vector(Add, (x.name, y), x.shape, left=scale, right=scale, requant=requant(self.rng, gain=2**-19))

    def vector(self, kind: type, names: tuple[str, ...], shape: tuple[int, ...], **fields: object) -> None:
        output = self.tensor(shape)
        shapes = tuple(self.tensors[n].shape for n in names)
        layer = kind(
            name=f"{kind.__name__}_{len(self.layers)}",
            inputs=names,
            output=output,
            shapes=shapes,
            shape=shape,
            **fields,
        )
        self.layers.append(layer)
        if len(shape) == 4:
            self.images.append(output)

    def pool(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        kernel, stride = (min(h, 2), min(w, 3)), (1, 2)
        pad = (int(self.rng.integers(0, kernel[0])), 0)
        shape = (n, (h + 2 * pad[0] - kernel[0]) // stride[0] + 1, (w - kernel[1]) // stride[1] + 1, c)
        kind = [AveragePool2D, MaxPool2D][int(self.rng.integers(2))]
        self.vector(kind, (x.name,), shape, kernel=kernel, stride=stride, pad=pad, clamp_min=-128, clamp_max=127)

    def mean(self) -> None:
        x = self.image()
        shape = (x.shape[0], 1, 1, x.shape[3])
        self.vector(
            Mean,
            (x.name,),
            shape,
            axes=(1, 2),
            input_zero_point=2,
            requant=requant(self.rng, gain=1 / (x.shape[1] * x.shape[2])),
        )

    def concat(self) -> None:
        x = self.image()
        other = [t for t in self.images if self.tensors[t].shape[:3] == x.shape[:3]]
        names = (x.name, *(other[int(i)] for i in self.rng.integers(0, len(other), 2)))
        shape = (*x.shape[:3], sum(self.tensors[n].shape[3] for n in names))
        self.vector(Concat, names, shape, axis=3)

    def pad(self) -> None:
        x = self.image()
        shape = (x.shape[0], x.shape[1] + 2, x.shape[2] + 3, x.shape[3])
        self.vector(Pad, (x.name,), shape, before=(0, 1, 2, 0), value=-7)

    def transpose(self) -> None:
        x = self.image()
        permutation = tuple(int(i) for i in self.rng.permutation(4))
        self.vector(Transpose, (x.name,), tuple(x.shape[i] for i in permutation), permutation=permutation)

    def strided_slice(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        self.vector(StridedSlice, (x.name,), (n, (h + 1) // 2, w, c), begin=(0, 0, w - 1, 0), strides=(1, 2, -1, 1))

    def rescale(self) -> None:
        x = self.image()
        self.vector(Rescale, (x.name,), x.shape, input_zero_point=-4, requant=requant(self.rng, gain=0.8))

    def rows(self) -> None:
        """A layer that needs whole rows: softmax or layer normalization over the channels."""
        x = self.image()
        if self.rng.random() < 0.5:
            table = np.exp((np.arange(256) - 255) / 16).astype(np.float32)
            codes = {"output_zero_point": -128, "output_min": -128, "output_max": 127}
            self.vector(FloatTableSoftmax, (x.name,), x.shape, exp_table=table, **codes)
            return
        channels = x.shape[3]
        factors = self.rng.integers(-(2**24), 2**24, channels), self.rng.integers(-(2**38), 2**38, channels)
        variance = {"epsilon": int(self.rng.integers(0, 2**20)), "variance_shift": 20}
        self.vector(LayerNorm, (x.name,), x.shape, multiplier=factors[0], bias=factors[1], output_shift=39, **variance)

    def resize(self) -> None:
        x = self.image()
        n, h, w, c = x.shape
        index = [np.sort(self.rng.integers(0, size, int(self.rng.integers(1, 10)))) for size in (h, w)]
        self.vector(ResizeNearest, (x.name,), (n, len(index[0]), len(index[1]), c), rows=index[0], columns=index[1])

    def extreme(self) -> None:
        x, kind = self.image(), [ReduceMax, ReduceMin][int(self.rng.integers(2))]
        axis = int(self.rng.integers(4))
        self.vector(kind, (x.name,), tuple(1 if i == axis else s for i, s in enumerate(x.shape)), axes=(axis,))

    def graph(self) -> Graph:
        read = {name for layer in self.layers for name in layer.inputs}
        outputs = tuple(HostPort(layer.output, layer.output) for layer in self.layers if layer.output not in read)
        return Graph(
            name="generated",
            arithmetic="tflite-micro",
            tensors=self.tensors,
            layers=tuple(self.layers),
            inputs=(HostPort("x", "x"),),
            outputs=outputs,
        )


KINDS = (
    "conv",
    "conv",
    "conv",
    "dense",
    "matmul",
    "add",
    "pool",
    "mean",
    "concat",
    "pad",
    "transpose",
    "strided_slice",
    "rescale",
    "rows",
    "resize",
    "extreme",
)


def random_graph(rng: Rng, *, most_layers: int = 5) -> Graph:
    """A network of a few layers that branch and join."""
    builder = Builder(rng)
    for kind in rng.choice(KINDS, int(rng.integers(1, most_layers + 1))):
        getattr(builder, kind)()
    return builder.graph()


def random_input(rng: Rng, graph: Graph) -> dict[str, np.ndarray]:
    """One inference."""
    return {p.tensor: rng.integers(-128, 128, graph.tensors[p.tensor].shape).astype(np.int8) for p in graph.inputs}


def random_array(rng: Rng) -> dict[str, object]:
    """Shape and dataflow; an adder tree adds the products of all its rows at once and preloads nothing."""
    rows, tree = int(rng.integers(1, 20)), bool(rng.integers(4) == 0)
    systolic = ["weight_stationary", "output_stationary", "input_stationary"]
    return {
        "array.rows": rows,
        "array.cols": int(rng.integers(1, 20)),
        "array.dataflow": "adder_tree" if tree else str(rng.choice(systolic)),
        "array.weight_preload": "serial" if tree else str(rng.choice(["serial", "overlapped"])),
        "accumulator.products_per_add": rows if tree else 1,
    }


def random_arch(rng: Rng) -> Arch:
    """A machine with every knob turned at random, its buffers large enough for the smallest tiles of any generated network.

    One of three keeps no tensors on chip; most of those have several cores.
    """
    own = rng.spawn(1)[0]
    resident = int(rng.choice([0, rng.integers(1, 400), rng.integers(400, 6000)]))
    arch = load_arch("edge_16x16").with_(
        random_array(rng)
        | {
            "array.pipeline_stages": int(rng.choice([0, 0, rng.integers(1, 9)])),
            "array.activation_bits": int(rng.choice([4, 8])),
            "accumulator.count": int(rng.integers(4, 200)),
            "accumulator.double_buffered": bool(rng.integers(2)),
            "weight_buffer.size_bytes": int(rng.integers(16, 400)),
            "weight_buffer.double_buffered": bool(rng.integers(2)),
            "activation_buffer.size_bytes": resident + int(rng.integers(400, 2000)),
            "activation_buffer.resident_bytes": resident,
            "activation_buffer.fuse_pairs": resident > 0 and resident % 2 == 0,
            "activation_buffer.double_buffered": bool(rng.integers(2)),
            "activation_buffer.bytes_per_cycle": None if rng.random() < 0.5 else int(rng.integers(1, 9)),
            "activation_buffer.im2col": str(own.choice(["implicit", "implicit", "buffer", "dram"])),
            "output_buffer.size_bytes": int(rng.integers(100, 500)),
            "output_buffer.double_buffered": bool(rng.integers(2)),
            "requantizer.lanes": int(rng.integers(1, 17)),
            "vector.lanes": int(rng.integers(1, 17)),
            "dma.queues": int(own.choice([1, 2, 3, 3])),
            "dma.setup_cycles": int(rng.integers(0, 10)),
            "dram.bandwidth_bytes_per_s": int(rng.integers(10**7, 10**10)),
            "dram.latency_ns": float(rng.integers(0, 200)),
            **{f"{name}_buffer.ports": int(rng.integers(1, 3)) for name in ("weight", "activation", "output")},
            **{f"{name}_buffer.banks": int(rng.integers(1, 4)) for name in ("weight", "activation", "output")},
            "dma.weight_compression": None if rng.random() < 0.6 else "zero_run_length",
            "dma.zero_run_bits": int(rng.integers(1, 6)),
            "dram.burst_bytes": int(rng.choice([1, 1, 8, 64])),
            "dram.standard": None if rng.random() < 0.6 else str(rng.choice(["LPDDR5_6400", "HBM2_2000", "DDR4_3200"])),
        }
    )
    if resident:
        return arch
    cores, split = int(rng.choice([1, 2, 3, 5])), str(rng.choice(["auto", "channels", "rows"]))
    return arch.with_({"cores.count": cores, "cores.split": split})


def roomy(arch: Arch, graph: Graph) -> Arch:
    """``arch`` with buffers that hold two of the longest rows that some layer of ``graph`` needs whole."""
    rows = [x.output_shape[-1] for x in graph.layers if isinstance(x, VectorLayer) and x.whole_axes]
    longest = max(rows, default=0)
    slots = arch.activation_buffer.size_bytes - arch.activation_buffer.resident_bytes
    edits = {"output_buffer.size_bytes": max(arch.output_buffer.size_bytes, 2 * longest)}
    edits["activation_buffer.size_bytes"] = arch.activation_buffer.resident_bytes + max(slots, 2 * longest)
    return arch.with_(edits)


def random_mapping(rng: Rng, layer: Layer, best: Mapping | None) -> Mapping | None:
    """A legal mapping that the mapper would not have chosen: the chosen tiles, some of them cut further."""
    if isinstance(best, MacMapping):
        whole_groups = best.groups > 1
        cut = {f: int(rng.integers(1, getattr(best, f) + 1)) for f in ("oh", "ow", "kh", "kw", "groups", "n")}
        if not whole_groups:
            cut |= {f: int(rng.integers(1, getattr(best, f) + 1)) for f in ("oc", "ic")}
        else:
            cut |= {"oc": best.oc, "ic": best.ic}
        return MacMapping(order=str(rng.choice(["weights_outer", "activations_outer"])), **cut)
    if isinstance(best, VectorMapping):
        whole = layer.whole_axes if isinstance(layer, VectorLayer) else ()
        cuts = [int(rng.integers(1, t + 1)) for t in best.tile]
        return VectorMapping(tile=tuple(best.tile[i] if i in whole else cut for i, cut in enumerate(cuts)))
    return None


def with_bands(rng: Rng, graph: Graph, mappings: tuple[Mapping | None, ...], arch: Arch) -> tuple[Mapping | None, ...]:
    """The same tiles, with random bands for random pairs of layers that may be computed in step."""
    made = [mapping and replace(mapping, band=0) for mapping in mappings]
    for reader in range(1, len(made)):
        mapping, before = made[reader], made[reader - 1]
        if mapping is None or before is None or before.band or obstacle(graph, reader) or rng.random() < 0.3:
            continue
        view = graph.layers[reader].output_shape
        pair = fuse(graph, reader, int(rng.integers(1, 1 + max(1, view[row_axis(view)] // 2))))
        if window_bytes(graph, pair) <= arch.activation_buffer.resident_bytes:
            made[reader] = replace(mapping, band=pair.computed[0])
    return tuple(made)


def random_program(seed: int, *, most_layers: int = 5, bands: bool = True) -> Program:
    """A network, a machine, for each layer either the mapper's tiles or worse ones, and some pairs of layers in ``bands``."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, most_layers=most_layers)
    arch = roomy(random_arch(rng), graph)
    mappings = map_graph(graph, arch=arch)
    if rng.random() < 0.5:
        mappings = tuple(random_mapping(rng, layer, m) for layer, m in zip(graph.layers, mappings, strict=True))
    if bands and rng.random() < 0.7:
        mappings = with_bands(rng, graph, mappings, arch)
    return build_program(graph, arch=arch, mappings=mappings)
