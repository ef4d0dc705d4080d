"""Whether a file says what its reader made of it: one inference by a program that shares nothing with that reader.

fake-quant reads the Graph, so that an attribute which the reader misunderstood stands on both sides of the comparison. Each layer
therefore meets, from the same codes, what the onnx reference evaluator computes of an .onnx file (ONNX Runtime without any optimization,
where that does not know an operator), or LiteRT's reference kernels of a .tflite file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import ArgReduction, Graph, Layer
from accelsim.numerics import IntFormat
from accelsim.verification import names
from accelsim.verification.oracles import Codes, Oracle
from accelsim.verification.readings.fake_quant import fake_quantized, has_float_reading, moves_codes
from accelsim.verification.readings.machine import Machine
from accelsim.verification.records import Finding

FLOAT_BITS = 14
"""Bits of a result that float32 sums are good for where they cancel to 2^-10 of their largest part."""
LONGEST = 120
"""Characters of a runtime's reason."""


class SecondReading(NamedTuple):
    """Layers that the ``program`` makes something else of, one Finding each; a sentence for the report says how many it read."""

    findings: tuple[Finding, ...]
    note: str


def second_reading(path: Path, graph: Graph, feed: Mapping[str, NDArray[Any]]) -> SecondReading | None:
    """``graph`` was read from ``path``; ``feed`` are codes of one inference. None where no other program reads such a file."""
    why = None
    for name, start in _programs(path, graph):
        try:
            codes = start().run(feed)
        except AccelsimError as error:
            why = f"{name}: {_reason(error)}"
            continue
        return _compared(name, graph, {**graph.constants, **graph.with_state(feed), **codes})
    return (
        None if why is None else SecondReading((), f"no other program read the file to check how it was read ({why})")
    )


def _reason(error: AccelsimError) -> str:
    """Why the program did not run, shortened."""
    missing = error.data.get("package")
    return f"{missing} is not installed" if missing else shorten(str(error.data.get("reason", error)), width=LONGEST)


def _programs(path: Path, graph: Graph) -> Iterator[tuple[str, Callable[[], Oracle]]]:
    """What reads such a file, the best first."""
    if path.suffix.lower() == ".onnx":
        from accelsim.verification.oracles.onnx_models import OnnxReference, OnnxUnoptimized

        yield "the onnx reference evaluator", lambda: OnnxReference(path, graph)
        yield "ONNX Runtime without optimization", lambda: OnnxUnoptimized(path, graph)
    if path.suffix.lower() == ".tflite":
        from accelsim.verification.oracles.litert import litert

        yield "LiteRT's reference kernels", lambda: litert(path, "litert-ref", graph)


def _compared(program: str, graph: Graph, known: Codes) -> SecondReading:
    machine, found, read, doubt = Machine(graph), [], 0, dict.fromkeys(known, 0)
    for layer in graph.layers:
        allowed = _allowed(layer, graph, doubt)
        if allowed is None:
            continue
        ours = _read(layer, machine, known)
        if layer.output in known:
            read += 1
            apart = np.abs(known[layer.output].astype(np.int64).reshape(ours.shape) - ours)
            if (apart > allowed).any():
                many = f"{np.count_nonzero(apart > allowed):,} of {apart.size:,} codes are up to {apart.max()}"
                text = f"{many} from what {program} makes of the file"
                found.append(Finding(layer=layer.name, kind=names.READING, text=text))
        else:  # a tensor of the Graph that the file does not have
            known[layer.output], doubt[layer.output] = ours.reshape(graph.tensors[layer.output].shape), allowed
    how = f"otherwise by {program} in {len(found)}" if found else f"alike by {program} in {read}"
    return SecondReading(tuple(found), f"read {how} of {read if found else len(graph.layers)} layers (first inference)")


def _allowed(layer: Layer, graph: Graph, doubt: Mapping[str, int]) -> int | None:
    """Codes by which two right readings of the layer may be apart, whose inputs may be ``doubt`` apart; None where that is no bound."""
    if not doubt.keys() >= set(layer.inputs):
        return None
    before = max((doubt[name] for name in layer.inputs), default=0)
    if moves_codes(layer) and not (before and isinstance(layer, ArgReduction)):
        return before
    return slack(graph.tensors[layer.output].format) if before == 0 else None


def _read(layer: Layer, machine: Machine, known: Codes) -> NDArray[np.int64]:
    """int64 codes of the layer in its output view, from those of its inputs: in real numbers where they say anything."""
    sources, tensors = [known[name] for name in layer.inputs], machine.graph.tensors
    if has_float_reading(layer, tensors):
        return fake_quantized(layer, sources, tensors, np.float64)
    return np.asarray(machine.layer(layer, sources), np.int64).reshape(layer.output_shape)


def slack(fmt: IntFormat) -> int:
    """Codes by which two right readings may be apart: one by a tie or a kernel's own rounding, more where float32 sums hold fewer bits."""
    return 1 + ((fmt.max - fmt.min) >> FLOAT_BITS)
