"""Random networks against the live runtimes: ``python -m tests.soak.networks --count 10000 [--seed 0] [--jobs 2]``.

Every second network is an .onnx file, the others are .tflite files, in the arithmetic of each runtime. Every tensor must be the runtime's, or
lie behind a layer that `accelsim import` names as an approximation. Ends with the counts, and with exit code 1 where a code differs
that nothing explains: ``python -m tests.soak.networks --seed SEED --count 1`` is that network again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from accelsim.errors import AccelsimError, UnsupportedOperatorError
from accelsim.importers import load_graph
from tests.importers.onnx.runtime import differences as onnx_differences
from tests.importers.onnx.runtime import save
from tests.oracles.runtimes import RUNTIMES, as_file, differences
from tests.soak import random_onnx, random_tflite

CHUNK = 50
"""Networks that a process takes at a time."""
ONNX = "onnxruntime"


class Outcome(NamedTuple):
    """What became of one network under one runtime: ``exact``, ``named``, ``unexplained``, ``refused`` by us, or ``not run`` by the runtime."""

    seed: int
    runtime: str
    what: str
    detail: str = ""
    codes: int = 0


def outcomes(seed: int) -> Iterator[Outcome]:
    """Of the network of one seed."""
    return _of_onnx(seed) if seed % 2 else _of_tflite(seed)


def _of_tflite(seed: int) -> Iterator[Outcome]:
    case = random_tflite.random_network(seed // 2)
    feeds = list(case.feeds(np.random.default_rng(seed)))
    with as_file(case.blob) as path:
        for runtime in RUNTIMES:
            try:
                wrong = {name: count for name, count in differences(path, runtime, feeds).items() if count}
            except UnsupportedOperatorError as error:
                yield Outcome(seed, runtime, "refused", str(error))
                continue
            except (RuntimeError, ValueError) as error:  # of the runtime, which lacks an operator of such numbers
                if isinstance(error, AccelsimError):
                    raise
                yield Outcome(seed, runtime, "not run", str(error))
                continue
            graph = load_graph(path, arithmetic=runtime)
            codes = len(feeds) * sum(graph.tensors[layer.output].elements for layer in graph.layers)
            yield Outcome(seed, runtime, "unexplained" if wrong else "exact", str(wrong or ""), codes)


def _of_onnx(seed: int) -> Iterator[Outcome]:
    net = random_onnx.random_network(seed // 2)
    model, feeds = net.model(), net.random_feeds(2)
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder))
        try:
            graph = load_graph(path, arithmetic=ONNX)
        except UnsupportedOperatorError as error:
            yield Outcome(seed, ONNX, "refused", str(error))
            return
        wrong, codes = onnx_differences(model, feeds, Path(folder), int8=net.kind == "int8")
    first = next((layer for layer in graph.layers if layer.output in wrong), None)
    named = first is not None and first.name in graph.approximations
    yield Outcome(seed, ONNX, "named" if named else "unexplained" if wrong else "exact", str(wrong or ""), codes)


def _chunk(seeds: range) -> list[Outcome]:
    return [outcome for seed in seeds for outcome in outcomes(seed)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.networks")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    end = options.seed + options.count
    chunks = [range(at, min(at + CHUNK, end)) for at in range(options.seed, end, CHUNK)]
    found, codes = Counter[tuple[str, str]](), Counter[str]()
    with ProcessPoolExecutor(options.jobs) as pool:
        for outcome in (outcome for chunk in pool.map(_chunk, chunks) for outcome in chunk):
            found[outcome.runtime, outcome.what] += 1
            codes[outcome.runtime] += outcome.codes
            if outcome.what == "unexplained":
                print(
                    f"seed {outcome.seed}, {outcome.runtime}: codes that differ by tensor: {outcome.detail}", flush=True
                )
    print(f"{options.count:,} networks")
    for runtime, count in sorted(codes.items()):
        kinds = ", ".join(f"{number:,} {what}" for (name, what), number in sorted(found.items()) if name == runtime)
        print(f"{runtime}: {count:,} codes compared; networks: {kinds}")
    return int(any(what == "unexplained" for _, what in found))


if __name__ == "__main__":
    sys.exit(main())
