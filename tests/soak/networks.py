"""Random networks against the live runtimes: ``python -m tests.soak.networks --count 10000 [--seed 0] [--jobs 2]``.

Every second network is an .onnx file, the others are .tflite files, in the arithmetic of each runtime. Every tensor must be the runtime's, or
lie behind a layer that `accelsim import` names as an approximation. Ends with the counts, and with exit code 1 where a code differs
that nothing explains: ``python -m tests.soak.networks --seed SEED --count 1`` is that network again. A runtime whose kernels end the process
is reported, and the others go on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
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
"""Networks that a process takes, which is forked in milliseconds."""
ONNX = "onnxruntime"
SHOWN = {"unexplained": "codes that differ by tensor", "aborted": "the runtime ended its process"}


class Outcome(NamedTuple):
    """What became of one network under one runtime.

    ``exact``, ``named``, ``unexplained``, ``refused`` by us, ``not run`` by the runtime, or ``aborted`` by it; ``begun`` comes before each.
    """

    seed: int
    runtime: str
    what: str
    detail: str = ""
    codes: int = 0


def outcomes(seed: int, without: Collection[str] = ()) -> Iterator[Outcome]:
    """Of the network of one seed, under all runtimes but those of ``without``."""
    return _of_onnx(seed, without) if seed % 2 else _of_tflite(seed, without)


def _of_tflite(seed: int, without: Collection[str]) -> Iterator[Outcome]:
    case = random_tflite.random_network(seed // 2)
    feeds = list(case.feeds(np.random.default_rng(seed)))
    with as_file(case.blob) as path:
        for runtime in (name for name in RUNTIMES if name not in without):
            yield Outcome(seed, runtime, "begun")
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


def _of_onnx(seed: int, without: Collection[str]) -> Iterator[Outcome]:
    if ONNX in without:
        return
    yield Outcome(seed, ONNX, "begun")
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


Task = Callable[[int, Collection[str]], Iterator[Outcome]]


def survived(seeds: range, task: Task = outcomes) -> list[Outcome]:
    """The outcomes of ``task`` for all ``seeds``, from a process apart; where that ends, another goes on behind the runtime that ended it."""
    found: list[Outcome] = []
    at, without = seeds, set[str]()
    while at:
        told, code = _forked(at, without, task)
        found += [outcome for outcome in told if outcome.what != "begun"]
        if code is None:
            return found
        if not told or told[-1].what != "begun":
            raise RuntimeError(f"the process of seeds from {at.start} ended with exit code {code} between two networks")
        last = told[-1]
        found.append(Outcome(last.seed, last.runtime, "aborted", signal.Signals(-code).name if code < 0 else f"{code}"))
        done = {outcome.runtime for outcome in found if outcome.seed == last.seed}
        at, without = range(last.seed, seeds.stop), done
    return found


def _forked(seeds: range, without: Collection[str], task: Task) -> tuple[list[Outcome], int | None]:
    """What a new process told of ``seeds``, ``without`` runtimes of the first, and the exit code with which it ended before it told all."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(theirs, seeds, without, task))
    process.start()
    theirs.close()
    told: list[Outcome] = []
    try:
        while (outcome := ours.recv()) is not None:
            told.append(outcome)
    except EOFError:
        process.join()
        return told, process.exitcode or 0
    process.join()
    return told, None


def _tell(pipe: Connection, seeds: range, without: Collection[str], task: Task) -> None:
    for seed in seeds:
        for outcome in task(seed, without if seed == seeds.start else ()):
            pipe.send(outcome)
    pipe.send(None)  # the other end may be open in a process that another thread has forked


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.networks")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    end = options.seed + options.count
    chunks = [range(at, min(at + CHUNK, end)) for at in range(options.seed, end, CHUNK)]
    found, codes = Counter[tuple[str, str]](), Counter[str]()
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in (outcome for chunk in pool.map(survived, chunks) for outcome in chunk):
            found[outcome.runtime, outcome.what] += 1
            codes[outcome.runtime] += outcome.codes
            if outcome.what in SHOWN:
                print(f"seed {outcome.seed}, {outcome.runtime}: {SHOWN[outcome.what]}: {outcome.detail}", flush=True)
    print(f"{options.count:,} networks")
    for runtime, count in sorted(codes.items()):
        kinds = ", ".join(f"{number:,} {what}" for (name, what), number in sorted(found.items()) if name == runtime)
        print(f"{runtime}: {count:,} codes compared; networks: {kinds}")
    return int(any(what == "unexplained" for _, what in found))


if __name__ == "__main__":
    sys.exit(main())
