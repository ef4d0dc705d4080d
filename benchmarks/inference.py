"""End-to-end bit-exact inference beside LiteRT's reference kernels (BUILTIN_REF), one thread, interleaved in one process.

    python benchmarks/inference.py [model.tflite ...]

Without arguments: the packaged digits network and the four models under ``$ACCELSIM_SHARED/models``. Prints the median of both
and the median of the per-round ratios; machines are noisy, the ratio is the figure to quote.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from accelsim.execute import WholeReader
from accelsim.importers import load_graph, resolve_model

ROUNDS = 31
SHARED = Path(os.environ.get("ACCELSIM_SHARED", "../shared")) / "models"
NAMES = ("ic_resnet8_int8", "ic_resnet_large_int8", "kws_dscnn_int8", "ad_autoencoder_int8")


def models() -> list[Path]:
    if sys.argv[1:]:
        return [Path(name) for name in sys.argv[1:]]
    return [Path(resolve_model("digits_cnn"))] + [p for n in NAMES if (p := SHARED / f"{n}.tflite").is_file()]


def seconds(call: object, repeats: int) -> float:
    begin = time.process_time()
    for _ in range(repeats):
        call()  # type: ignore[operator]
    return (time.process_time() - begin) / repeats


def main() -> None:
    print(f"{'model':24} {'accelsim us':>12} {'BUILTIN_REF us':>15} {'ratio':>7}   (ratio > 1: accelsim is faster)")
    for path in models():
        graph = load_graph(path, arithmetic="litert-reference")
        reader = WholeReader(graph)
        interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
        interpreter.allocate_tensors()
        detail = interpreter.get_input_details()[0]
        x = np.random.default_rng(0).integers(-128, 128, detail["shape"]).astype(np.int8)
        interpreter.set_tensor(detail["index"], x)
        feeds = {graph.inputs[0].tensor: x}
        ours, theirs = lambda r=reader, f=feeds: r.run(f), interpreter.invoke
        ours(), theirs()
        repeats = max(1, int(0.02 / seconds(theirs, 3)))
        rounds = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(ROUNDS)]
        a, b = (statistics.median(r[i] for r in rounds) * 1e6 for i in (0, 1))
        ratio = statistics.median(t / o for o, t in rounds)
        print(f"{path.stem:24} {a:12.1f} {b:15.1f} {ratio:7.2f}")


if __name__ == "__main__":
    main()
