"""End-to-end bit-exact inference beside the runtimes themselves, one thread each, interleaved in one process.

    python benchmarks/inference.py [model.tflite | model.onnx ...]

.tflite models run beside LiteRT's three kernel sets (reference, optimized, XNNPACK), .onnx models beside ONNX Runtime. Without
arguments: the packaged digits network, the models under ``$ACCELSIM_SHARED/models``, and a convolutional network made here for
ONNX Runtime. Prints the median times and the median of the per-round ratios; machines are noisy, the ratio is the figure to quote.
Then batches, by one thread and by two: the shortest times of each, for a processor that is busy elsewhere tells nothing of threads, and
the processor time that both need, which bounds what two free ones can gain.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper

from accelsim.execute import WholeReader
from accelsim.graph import Graph
from accelsim.importers import load_graph, resolve_model
from accelsim.kernels import _products as loops
from accelsim.kernels.products import is_exact, tile_of

ROUNDS = 15
SHARED = Path(os.environ.get("ACCELSIM_SHARED", "../shared")) / "models"
KERNEL_SETS = {
    "BUILTIN_REF": ("litert-reference", OpResolverType.BUILTIN_REF),
    "no delegate": ("litert-optimized", OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
    "XNNPACK": ("litert-xnnpack", OpResolverType.AUTO),
}
CHANNELS = (3, 32, 64, 128, 128)
"""Of the network made for ONNX Runtime: 3x3 convolutions over 64x64 images, each but the first with stride 2."""

Call = Callable[[], Any]


def models() -> list[Path]:
    if sys.argv[1:]:
        return [Path(name) for name in sys.argv[1:]]
    shared = [path for path in sorted(SHARED.glob("*int8.tflite")) if path.is_file()]
    return [Path(resolve_model("digits_cnn")), *shared, _made(Path(tempfile.mkdtemp()) / "conv4.onnx")]


def _made(path: Path) -> Path:
    """A QOperator network of 3x3 convolutions, uint8 activations and 7-bit int8 weights (no 16-bit saturation on AVX2)."""
    rng = np.random.default_rng(0)
    constants, nodes = {}, []
    for i, (ic, oc) in enumerate(itertools.pairwise(CHANNELS)):
        constants[f"w{i}"] = rng.integers(-64, 64, (oc, ic, 3, 3)).astype(np.int8)
        constants |= {
            f"s{i}": np.float32(0.02),
            f"sw{i}": np.full(oc, 0.01, np.float32),
            f"zw{i}": np.zeros(oc, np.int8),
        }
        constants[f"b{i}"] = rng.integers(-1000, 1000, oc).astype(np.int32)
        inputs = [f"x{i}", f"s{i}", "z", f"w{i}", f"sw{i}", f"zw{i}", f"s{i + 1}", "z", f"b{i}"]
        stride = 1 if i == 0 else 2
        nodes.append(helper.make_node("QLinearConv", inputs, [f"x{i + 1}"], pads=[1] * 4, strides=[stride] * 2))
    last = len(CHANNELS) - 1
    constants |= {f"s{last}": np.float32(0.02), "z": np.uint8(128)}
    ports = (
        [helper.make_tensor_value_info("x0", TensorProto.UINT8, [1, CHANNELS[0], 64, 64])],
        [helper.make_tensor_value_info(f"x{last}", TensorProto.UINT8, [1, CHANNELS[-1], 8, 8])],
    )
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "conv4", *ports, initializer=tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def peers(path: Path) -> Iterator[tuple[str, Graph, Call, Call]]:
    """(runtime, Graph with its rules, our call, its call)."""
    rng = np.random.default_rng(0)
    if path.suffix == ".onnx":
        graph = load_graph(path)
        x = _codes(graph, rng)
        yield "ONNX Runtime", graph, _ours(graph, x), _onnxruntime(path, graph, x)
        return
    for name, (arithmetic, resolver) in KERNEL_SETS.items():
        graph = load_graph(path, arithmetic=arithmetic)
        x = _codes(graph, rng)
        yield name, graph, _ours(graph, x), _litert(path, resolver, x)


def _codes(graph: Graph, rng: np.random.Generator) -> np.ndarray:
    tensor = graph.tensors[graph.inputs[0].tensor]
    return rng.integers(tensor.format.min, tensor.format.max + 1, tensor.shape).astype(tensor.format.dtype)


def _ours(graph: Graph, x: np.ndarray) -> Call:
    reader = WholeReader(graph)
    feeds = {graph.inputs[0].tensor: x}
    return lambda: reader.run(feeds)


def _litert(path: Path, resolver: OpResolverType, x: np.ndarray) -> Call:
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], x if detail["dtype"] == x.dtype else x.astype(np.float32) / 128)
    return interpreter.invoke


def _onnxruntime(path: Path, graph: Graph, x: np.ndarray) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    known = graph.tensors[graph.inputs[0].tensor]
    codes = known.to_host(x)
    value = codes if session.get_inputs()[0].type != "tensor(float)" else codes.astype(np.float32) / 128
    feeds = {session.get_inputs()[0].name: value}
    return lambda: session.run(None, feeds)


def seconds(call: Call, repeats: int) -> float:
    begin = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - begin) / repeats


def one_model_each() -> None:
    print(
        f"{'model':24} {'MMAC':>7} {'runtime':>13} {'accelsim us':>12} {'theirs us':>11} {'ratio':>7}   (> 1: accelsim is faster)"
    )
    for path in models():
        for name, graph, ours, theirs in peers(path):
            ours(), theirs()
            repeats = max(1, int(0.02 / seconds(theirs, 3)))
            rounds = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(ROUNDS)]
            a, b = (statistics.median(r[i] for r in rounds) * 1e6 for i in (0, 1))
            ratio = statistics.median(t / o for o, t in rounds)
            print(f"{path.stem:24} {graph.macs / 1e6:7.2f} {name:>13} {a:12.1f} {b:11.1f} {ratio:7.2f}", flush=True)


def batches() -> None:
    """Inferences of a whole batch by one thread and by two, in turns."""
    print(
        f"\n{'batch of':24} {'MMAC':>7} {'':>13} {'1 thread us':>12} {'2 threads us':>12} {'ratio':>7} {'at most':>8}"
    )
    for path in models():
        graph = load_graph(path)
        rng, reader, name = np.random.default_rng(0), WholeReader(graph), graph.inputs[0].tensor
        count = max(32, min(4096, int(4e9 / graph.macs)))
        x = {name: np.stack([_codes(graph, rng) for _ in range(count)])}
        reader.run_batch(x, threads=2)
        walls, cpus = ({threads: [] for threads in (1, 2)} for _ in range(2))
        for _ in range(ROUNDS):
            for threads in (1, 2):
                wall, cpu = time.perf_counter(), time.process_time()
                reader.run_batch(x, threads=threads)
                walls[threads].append((time.perf_counter() - wall) / count * 1e6)
                cpus[threads].append((time.process_time() - cpu) / count * 1e6)
        one, two = min(walls[1]), min(walls[2])
        bound = 2 * statistics.median(a / b for a, b in zip(cpus[1], cpus[2], strict=True))
        print(
            f"{path.stem:24} {graph.macs / 1e6:7.2f} {count:13} {one:12.1f} {two:12.1f} {one / two:7.2f} {bound:8.2f}",
            flush=True,
        )


def main() -> None:
    tile = tile_of(loops.BYTES)
    ways = (
        f"{tile.lanes} lanes of {' '.join(tile.features)}, exact on this very processor: {is_exact()}"
        if tile.features
        else "no VNNI"
    )
    print(f"8-bit products: {ways}\n")
    one_model_each()
    batches()


if __name__ == "__main__":
    main()
