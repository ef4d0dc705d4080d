"""A float network, calibration data and settings become a quantized ModelProto."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, ConfigError, InputError, ModelError, as_one
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.onnx.file import OnnxModel
from accelsim.labels import check_labels
from accelsim.ptq.bias_correction import Watch
from accelsim.ptq.calibrate import observe
from accelsim.ptq.equalization import equalized, reach_of
from accelsim.ptq.evaluate import evaluate, evaluate_model, gather
from accelsim.ptq.network.float_network import file_kind, read_float
from accelsim.ptq.network.proto import float_proto
from accelsim.ptq.parameters import ActQuant, WeightQuant, act_parameters, weight_parameters
from accelsim.ptq.plan import make_plan
from accelsim.ptq.settings import QDQ_BITS, Settings
from accelsim.ptq.write_qdq import qdq_model
from accelsim.ptq.write_qonnx import qonnx_model

Dialect = Literal["qdq", "qonnx"]
WIDE_ARITHMETIC = "litert-reference"
"""For sums of 16-bit codes, which ONNX Runtime has no integers for."""
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Quantized:
    """The quantized network: a ModelProto in ``dialect``, what became of each tensor and each layer, and its Graph.

    ``acts`` by tensor name, ``weights`` by the name of the layer's output; ``source`` is the float network after folding and equalization.
    """

    model: Any
    dialect: Dialect
    acts: Mapping[str, ActQuant]
    weights: Mapping[str, WeightQuant]
    source: OnnxModel
    calibration_inputs: int
    graph: Graph

    @property
    def in_own_arithmetic(self) -> bool:
        """Whether ``graph`` has the arithmetic that the file itself carries: ONNX Runtime's for QDQ, FINN's for QONNX."""
        return self.graph.arithmetic != WIDE_ARITHMETIC

    def to_bytes(self) -> bytes:
        """The .onnx file."""
        serialized: bytes = self.model.SerializeToString()
        return serialized


def quantize_network(
    path: str | Path,
    calibration: Arrays,
    *,
    settings: Settings | None = None,
    dialect: Dialect | None = None,
    evaluator: str = "onnx",
) -> Quantized:
    """Quantize the float .onnx or .tflite network at ``path`` with ranges that it takes over ``calibration``.

    ``calibration`` holds float arrays by input name (``input`` for the only one), inferences along the leading axis. ``dialect``
    None is QDQ where every width is 4, 8 or 16 bits, QONNX elsewhere. The model made is imported once, so that what is returned
    runs. Raises ModelError for a network, InputError for data, ConfigError for settings that cannot be.
    """
    with file_kind(Path(path)).guard(Path(path)):
        return _quantized(Path(path), calibration, settings or Settings(), dialect, evaluator)


def _quantized(path: Path, calibration: Arrays, chosen: Settings, dialect: Dialect | None, evaluator: str) -> Quantized:
    network = read_float(path)
    batches = gather(network, calibration)
    if chosen.equalize:
        network = equalized(network, reach_of(network, batches, evaluator=evaluator))
    plan = make_plan(network, chosen)
    watch = Watch(network)
    seen = observe(watch.over(evaluate(network, batches, evaluator=evaluator)), plan, chosen)
    acts = act_parameters(plan, seen, chosen)
    weights = weight_parameters(network, plan, acts, chosen, means=watch.means)
    form = dialect or _dialect(acts, weights)
    made = qdq_model(network, acts, weights, watch.shapes) if form == "qdq" else qonnx_model(network, acts, weights)
    count = len(next(iter(batches.values())))
    return Quantized(made, form, acts, weights, network, count, _imported(made, network))


def _dialect(acts: Mapping[str, ActQuant], weights: Mapping[str, WeightQuant]) -> Dialect:
    widths = {known.format.bits for known in acts.values()} | {known.format.bits for known in weights.values()}
    return "qdq" if widths <= set(QDQ_BITS) else "qonnx"


def _imported(made: Any, network: OnnxModel) -> Graph:
    """The Graph of the model made, in the dialect's arithmetic or, where that cannot, TFLite's; an error names the float file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{Path(network.path).stem}.onnx"
        path.write_bytes(made.SerializeToString())
        try:
            return load_graph(path)
        except AccelsimError as error:
            with suppress(AccelsimError):
                return load_graph(path, arithmetic=WIDE_ARITHMETIC)
            texts = [str(each).replace(f"{path}: ", "") for each in error.exceptions]
            raise as_one(network.path, [_cannot_run(network, text) for text in texts]) from error


def _cannot_run(network: OnnxModel, reason: str) -> ModelError:
    remedy = "give that layer other widths (--layer), or the other --format"
    return ModelError(f"{network.path}: quantized so, it cannot run on integers: {reason}; {remedy}")


def accuracies(
    quantized: Quantized, inputs: Arrays, labels: NDArray[Any], *, evaluator: str = "onnx"
) -> tuple[float, float]:
    """Share of ``labels`` that the largest output meets, of the float network and of the fake-quantized one.

    QONNX is run by the reference evaluator, whatever ``evaluator`` says: ONNX Runtime has no Quant. QDQ as it stands, unoptimized.
    Raises InputError for labels that do not fit, or a network of several outputs.
    """
    source = quantized.source
    batches = gather(source, inputs)
    count = len(next(iter(batches.values())))
    if len(source.outputs) != 1:
        raise InputError(f"labels need a network with one output, {source.path} has {len(source.outputs)}")
    fake = "onnx" if quantized.dialect == "qonnx" else evaluator
    scores = []
    for model, runner in ((float_proto(source), evaluator), (quantized.model, fake)):
        made = next(iter(evaluate_model(model, batches, evaluator=runner).values())).reshape(count, -1)
        check_labels(labels, count=count, outputs=made.shape[1])
        scores.append(float(np.mean(made.argmax(axis=1) == labels)))
    return scores[0], scores[1]


def check_dialect(name: str) -> Dialect | None:
    """``auto`` as None; ConfigError for an unknown name."""
    known: dict[str, Dialect | None] = {"auto": None, "qdq": "qdq", "qonnx": "qonnx"}
    if name not in known:
        raise ConfigError(f"format {name!r}: expected one of {', '.join(known)}")
    return known[name]
