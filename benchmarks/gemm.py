"""Products of integer matrices, requantization and convolutions beside their peers, one thread, interleaved in one process.

    python benchmarks/gemm.py [--conv] [--json]

Tables: GMAC/s of every path that this CPU has, of saturating sums, of ONNX Runtime's MatMulInteger and of numpy; Gelem/s of
requantization beside the same arithmetic in numpy; with ``--conv`` only: 3x3 convolutions by the whole-network path beside ONNX
Runtime's QLinearConv. Figures are medians over rounds; ratios are medians of per-round ratios, to be quoted on noisy machines.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy loads it

import json
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
from onnx import TensorProto, helper

from accelsim.execute import WholeReader
from accelsim.importers import load_graph
from accelsim.kernels._clamped import clamped_gemm, pack_saturating, pack_steps, saturating_gemm
from accelsim.kernels._tape import _shift_rows
from accelsim.kernels.gemm import available_paths, gemm, pack_weights
from accelsim.numerics import Requant, requantize, shift_form

ROUNDS = 9
SLICE = 0.01
"""Seconds of one measurement of a call; slow calls run once."""
SHAPES = (
    (64, 64, 64), (512, 512, 512), (3136, 576, 64), (784, 1152, 128), (196, 2304, 256), (49, 4608, 512),
)  # fmt: skip
"""(m, k, n): squares, then the 3x3 convolutions of ResNet-18 on 224x224 images."""
CONVOLUTIONS = ((56, 64), (28, 128), (14, 256), (7, 512))
"""(rows and columns, channels in and out)."""
NUMPY_LIMIT = 2e8
"""Products beyond which numpy's int32 ``@`` is run on fewer rows."""
SATURATING_BITS = 24

Call = Callable[[], Any]
Row = dict[str, Any]


def seconds(call: Call) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    call()
    once = time.process_time() - begin
    repeats = int(SLICE / max(once, 1e-6))
    if repeats < 2:
        return once
    begin = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - begin) / repeats


def measure(calls: dict[str, tuple[float, Call]]) -> dict[str, list[float]]:
    """Work per second in units of 1e9 of each call (work, call), round by round."""
    for _, call in calls.values():
        call()
    rounds = [{name: work / seconds(call) / 1e9 for name, (work, call) in calls.items()} for _ in range(ROUNDS)]
    return {name: [r[name] for r in rounds] for name in calls}


def ratio(rates: dict[str, list[float]], name: str, peer: str) -> float:
    """Median of the per-round ratios."""
    return statistics.median(a / b for a, b in zip(rates[name], rates[peer], strict=True))


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def saved(nodes: list[Any], constants: dict[str, Any], source: tuple[Any, ...], target: tuple[Any, ...]) -> Path:
    """A model of one input x and one output y, each (type, shape)."""
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ports = [[helper.make_tensor_value_info(name, *port)] for name, port in (("x", source), ("y", target))]
    graph = helper.make_graph(nodes, "benchmark", *ports, initializer=tensors)
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def matmul_integer(x: np.ndarray, w: np.ndarray) -> Call:
    kind = TensorProto.UINT8 if x.dtype == np.uint8 else TensorProto.INT8
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    runtime = session(
        saved(nodes, {"w": np.ascontiguousarray(w.T)}, (kind, x.shape), (TensorProto.INT32, (len(x), len(w))))
    )
    return lambda: runtime.run(None, {"x": x})


def product_calls(m: int, k: int, n: int) -> dict[str, tuple[float, Call]]:
    """Half-normal activations and Laplace weights, as trained networks have."""
    rng = np.random.default_rng(0)
    x = np.minimum(np.abs(rng.normal(0, 40, (m, k))), 255).astype(np.uint8)
    signed = (x >> 1).astype(np.int8)
    w = np.clip(np.rint(rng.laplace(0, 12, (n, k))), -127, 127).astype(np.int8)
    work, bias, sums = float(m * k * n), np.zeros(n, np.int32), np.zeros((m, n), np.int32)
    low, high = -(1 << SATURATING_BITS - 1), (1 << SATURATING_BITS - 1) - 1
    calls: dict[str, tuple[float, Call]] = {}
    for name in available_paths():
        packed = pack_weights(w, path=name)
        calls[f"{name} u8s8"] = work, lambda packed=packed: gemm(x, packed)
        calls[f"{name} s8s8"] = work, lambda packed=packed: gemm(signed, packed)
    for group in (1, 4, 16):
        steps = pack_steps(w, group=group)
        calls[f"clamped {group}"] = work, lambda steps=steps: clamped_gemm(x, steps, sums, low=low, high=high)
    proven = pack_saturating(w, group=1)
    calls[f"saturating {SATURATING_BITS}b"] = work, lambda: saturating_gemm(x, proven, bias, low=low, high=high)
    rows = max(1, min(m, int(NUMPY_LIMIT / (k * n))))
    left, right = x[:rows].astype(np.int32), np.ascontiguousarray(w.T).astype(np.int32)
    a, b = x.astype(np.float32), right.astype(np.float32)
    return calls | {
        "ORT u8s8": (work, matmul_integer(x, w)),
        "ORT s8s8": (work, matmul_integer(signed, w)),
        "numpy sgemm": (work, lambda: a @ b),
        "numpy int32": (float(rows * k * n), lambda: left @ right),
    }


def products() -> Iterator[Row]:
    best = available_paths()[0]
    for shape in SHAPES:
        rates = measure(product_calls(*shape))
        yield {
            "shape": "x".join(map(str, shape)),
            **{name: round(statistics.median(values), 2) for name, values in rates.items()},
            "/ numpy int32 (goal 30)": round(ratio(rates, f"{best} u8s8", "numpy int32"), 1),
            "/ ORT s8s8 (goal 15)": round(ratio(rates, f"{best} s8s8", "ORT s8s8"), 2),
            "/ ORT u8s8": round(ratio(rates, f"{best} u8s8", "ORT u8s8"), 2),
        }


def requantizations() -> Iterator[Row]:
    """784 x 128 sums to int8, parameters by channel."""
    rng = np.random.default_rng(0)
    sums, channels = rng.integers(-(1 << 18), 1 << 18, (784, 128)).astype(np.int32), 128
    factors, exponents = rng.integers(1 << 30, (1 << 31) - 1, channels), np.full(channels, -10)
    reals = (factors * 2.0**-41).astype(np.float32)
    shift = 31 - exponents

    def single() -> np.ndarray:
        return (sums.astype(np.int64) * factors + (1 << shift - 1)) >> shift

    def double() -> np.ndarray:
        product = sums.astype(np.int64) * factors
        doubled = (product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))) // (1 << 31)
        doubled += (doubled < 0) & (product + np.where(product >= 0, 1 << 30, 1 - (1 << 30)) & (2**31 - 1) != 0)
        rest = doubled & ((1 << -exponents) - 1)
        return (doubled >> -exponents) + (rest > ((1 << -exponents - 1) - 1) + (doubled < 0))

    def rounded() -> np.ndarray:
        return np.rint(sums.astype(np.float32) * reals)

    def coded(scale: Callable[[], np.ndarray]) -> np.ndarray:
        return np.clip(scale() + 3, -128, 127).astype(np.int8)

    peers = {"tflite_single": single, "tflite_double": double, "float32_half_even": rounded}
    for scheme, formula in peers.items():
        multiplier = reals if formula is rounded else factors
        shifts = np.zeros(channels, int) if formula is rounded else exponents
        requant = Requant(scheme, multiplier, shifts, 3, -128, 127)
        out = np.empty(sums.shape, np.int8)
        requantize(sums, requant, out=out)
        differing = int((coded(formula) != out).sum())
        calls: dict[str, tuple[float, Call]] = {
            "accelsim": (sums.size, lambda requant=requant, out=out: requantize(sums, requant, out=out)),
            "numpy": (sums.size, lambda formula=formula: coded(formula)),
        }
        form = None if formula is rounded else shift_form(requant, bound=1 << 18)
        if form is not None:
            calls["tape"] = sums.size, _tape_call(sums, form)
        rates = measure(calls)
        yield {
            "scheme": scheme,
            **{name: round(statistics.median(values), 3) for name, values in rates.items()},
            "/ numpy (goal 7)": round(ratio(rates, "accelsim", "numpy"), 1),
            **({"tape / numpy": round(ratio(rates, "tape", "numpy"), 1)} if form is not None else {}),
            "differing": differing,
        }


def _tape_call(sums: np.ndarray, form: Any) -> Call:
    factors = np.asarray(form.factor, np.int32)
    shifts = np.concatenate([form.offset, form.negative, form.shift]).astype(np.int64)
    flat, codes = sums.reshape(-1), np.empty(sums.size, np.int16)
    return lambda: _shift_rows(flat, factors, shifts, 3, -128, 127, codes)


def convolutions() -> Iterator[Row]:
    """One-layer networks: 3x3, padding 1, uint8 activations, int8 weights, parameters by channel."""
    rng = np.random.default_rng(0)
    for side, channels in CONVOLUTIONS:
        constants = {
            "s": np.float32(0.02),
            "z": np.uint8(128),
            "w": rng.integers(-64, 64, (channels, channels, 3, 3)).astype(np.int8),
            "sw": np.full(channels, 0.001, np.float32),
            "zw": np.zeros(channels, np.int8),
            "b": rng.integers(-1000, 1000, channels).astype(np.int32),
        }
        nodes = [helper.make_node("QLinearConv", ["x", "s", "z", "w", "sw", "zw", "s", "z", "b"], ["y"], pads=[1] * 4)]
        port = (TensorProto.UINT8, (1, channels, side, side))
        path = saved(nodes, constants, port, port)
        graph, runtime = load_graph(path), session(path)
        tensor = graph.tensors[graph.inputs[0].tensor]
        x = rng.integers(0, 256, tensor.shape).astype(np.uint8)
        reader, host = WholeReader(graph), tensor.to_host(x)
        ours = {graph.inputs[0].tensor: x}
        result = graph.tensors[graph.outputs[0].tensor].to_host(reader.run(ours)[graph.outputs[0].tensor])
        differing = int((result != runtime.run(None, {"x": host})[0]).sum())
        work = float(side * side * channels * channels * 9)
        calls: dict[str, tuple[float, Call]] = {
            "accelsim": (work, lambda reader=reader, ours=ours: reader.run(ours)),
            "ORT": (work, lambda runtime=runtime, host=host: runtime.run(None, {"x": host})),
        }
        rates = measure(calls)
        yield {
            "layer": f"{side}x{side}x{channels}",
            **{f"{name} us": round(work / statistics.median(values) / 1e3, 1) for name, values in rates.items()},
            "accelsim GMAC/s": round(statistics.median(rates["accelsim"]), 1),
            "/ ORT": round(ratio(rates, "accelsim", "ORT"), 2),
            "differing": differing,
        }


def table(title: str, rows: list[Row]) -> str:
    """Columns are rows of the measurement, one line per quantity."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    width = max(map(len, heads))
    lines = [f"{name:{width}} " + " ".join(f"{row.get(name, '-')!s:>17}" for row in rows) for name in heads]
    return "\n".join([title, *lines])


def main() -> None:
    sections: dict[str, Callable[[], Iterator[Row]]] = {"convolutions 3x3": convolutions}
    if "--conv" not in sys.argv:
        sections = {"products, GMAC/s": products, "requantization, Gelem/s": requantizations, **sections}
    results = {}
    for title, run in sections.items():
        results[title] = list(run())
        if "--json" not in sys.argv:
            print(table(title, results[title]) + "\n", flush=True)
    if "--json" in sys.argv:
        print(json.dumps({"paths": available_paths(), **results}))


if __name__ == "__main__":
    main()
