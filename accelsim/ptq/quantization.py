"""A float network, calibration data and settings become a quantized ModelProto."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, ConfigError, InputError, ModelError, as_one
from accelsim.graph import Graph
from accelsim.importers import as_path, load_graph
from accelsim.importers.onnx.file import QONNX_DOMAIN, OnnxModel
from accelsim.labels import answers, check_labels
from accelsim.ptq.bias_correction import Watch
from accelsim.ptq.calibrate import Known, Seen, observe
from accelsim.ptq.doubts import calibration_doubts
from accelsim.ptq.equalization import equalized, reach_of
from accelsim.ptq.evaluate import evaluate, evaluate_model, gather
from accelsim.ptq.network.float_network import file_kind, read_float
from accelsim.ptq.network.products import products
from accelsim.ptq.network.proto import float_proto
from accelsim.ptq.parameters import ActQuant, WeightQuant, act_parameters, weight_parameters
from accelsim.ptq.plan import Place, make_plan, places
from accelsim.ptq.settings import QDQ_BITS, Settings, Widths
from accelsim.ptq.write_qdq import qdq_model
from accelsim.ptq.write_qonnx import qonnx_model

Dialect = Literal["qdq", "qonnx"]
BYTES = (2, 3)
"""Types of 8-bit integers, as ONNX numbers them: UINT8, INT8."""
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

    def read(self, *, arithmetic: str | None = None, overrides: Mapping[str, str] | None = None) -> Graph:
        """The Graph of the file in another arithmetic than its own; errors name the float file."""
        return _imported(self.model, self.source, arithmetic=arithmetic, overrides=overrides)

    def to_bytes(self) -> bytes:
        """The .onnx file."""
        serialized: bytes = self.model.SerializeToString()
        return serialized


class _Source(Protocol):
    """What codes at any widths are made of."""

    @property
    def path(self) -> Path: ...
    @property
    def network(self) -> OnnxModel: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def inputs(self) -> int: ...
    def parameters(self, chosen: Settings, /) -> tuple[dict[str, ActQuant], dict[str, WeightQuant]]: ...


class AnyWidths:
    """A network that has codes at any widths: what all such have in common."""

    @property
    def products(self: _Source) -> dict[str, str]:
        """Layers with weights, by name, each with the tensor that it reads."""
        return {self.network.layer_name(node): node.inputs[0] for node in products(self.network)}

    @property
    def places(self: _Source) -> tuple[Place, ...]:
        """Widths that :meth:`quantized` takes one by one, as exceptions by name."""
        return places(self.network, make_plan(self.network, self.settings))

    def weights(
        self: _Source,
        *,
        weights: int | None = None,
        acts: int | None = None,
        layers: Mapping[str, Widths] | None = None,
    ) -> dict[str, WeightQuant]:
        """Codes of the weights alone, by the name of their layer; arguments as of :meth:`quantized`."""
        held = self.parameters(chosen_settings(self.settings, weights, acts, layers))[1]
        return {self.network.layer_name(node): held[node.outputs[0]] for node in products(self.network)}

    def quantized(
        self: _Source,
        *,
        weights: int | None = None,
        acts: int | None = None,
        layers: Mapping[str, Widths] | None = None,
        dialect: Dialect | None = None,
    ) -> Quantized:
        """The integers of the network at those widths, those of the settings where they are None; ``layers`` come beside the settings'."""
        chosen = chosen_settings(self.settings, weights, acts, layers)
        with file_kind(self.path).guard(self.path):
            quants, held = self.parameters(chosen)
            return written(
                self.network, quants, held, shapes=self.shapes, calibration_inputs=self.inputs, dialect=dialect
            )


@dataclass(frozen=True, eq=False)
class Calibrated(AnyWidths):
    """A float network, folded and equalized, and what its tensors were over ``inputs`` of calibration: what quantizers of any width are
    made of.

    ``settings`` are those that it was observed for; equalization stays theirs, and the way that ranges are set as well where ``seen``
    is not ``whole``, but holds extremes alone.
    """

    path: Path
    network: OnnxModel
    settings: Settings
    seen: Seen
    watch: Watch
    inputs: int
    whole: bool = False
    _known: Known = field(default_factory=Known, repr=False)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes the calibration doubtful, a sentence each."""
        plan = make_plan(self.network, self.settings)
        return tuple(calibration_doubts(self.network, plan, self.seen, self.inputs))

    def held_to(self, accumulator_bits: int | None) -> Calibrated:
        """The same with weights held to accumulators of so many bits, or to none."""
        return replace(self, settings=replace(self.settings, accumulator_bits=accumulator_bits))

    @property
    def alone(self) -> Calibrated:
        """Without what follows from all quantizers together, of which there is nothing: for what one of them does."""
        return self

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors."""
        return self.watch.shapes

    def parameters(self, chosen: Settings) -> tuple[dict[str, ActQuant], dict[str, WeightQuant]]:
        """Codes of all activations and weights."""
        plan = make_plan(self.network, chosen)
        quants = act_parameters(plan, self.seen, chosen, known=self._known)
        means = self.watch.means
        return quants, weight_parameters(self.network, plan, quants, chosen, means=means, known=self._known)


def chosen_settings(
    own: Settings, weights: int | None, acts: int | None, layers: Mapping[str, Widths] | None
) -> Settings:
    """``own`` with other widths, where they are given, and ``layers`` beside its own."""
    return replace(own, weights=weights or own.weights, acts=acts or own.acts, layers={**own.layers, **(layers or {})})


def written(
    network: OnnxModel,
    acts: Mapping[str, ActQuant],
    weights: Mapping[str, WeightQuant],
    *,
    shapes: Mapping[str, tuple[int, ...]],
    calibration_inputs: int,
    dialect: Dialect | None = None,
) -> Quantized:
    """The file that holds those codes, imported once; ModelError that names the float file where it cannot run."""
    form = dialect or _dialect(acts, weights)
    made = qdq_model(network, acts, weights, shapes) if form == "qdq" else qonnx_model(network, acts, weights)
    return Quantized(made, form, acts, weights, network, calibration_inputs, _imported(made, network))


def calibrate_network(
    path: str | Path, calibration: Arrays, *, settings: Settings | None = None, evaluator: str = "onnx"
) -> Calibrated:
    """Run the float .onnx or .tflite network at ``path`` over ``calibration``, once for all widths; arguments as of :func:`quantize_network`."""
    path, chosen = as_path(path), settings or Settings()
    with file_kind(path).guard(path):
        network = read_float(path)
        batches = gather(network, calibration)
        if chosen.equalize:
            network = equalized(network, reach_of(network, batches, evaluator=evaluator))
        watch = Watch(network)
        seen = observe(watch.over(evaluate(network, batches, evaluator=evaluator)), make_plan(network, chosen), chosen)
        count = len(next(iter(batches.values())))
        return Calibrated(path, network, chosen, seen, watch, count, whole=not chosen.keeps_extremes)


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
    return calibrate_network(path, calibration, settings=settings, evaluator=evaluator).quantized(dialect=dialect)


def _dialect(acts: Mapping[str, ActQuant], weights: Mapping[str, WeightQuant]) -> Dialect:
    formats = [*(known.format for known in acts.values()), *(known.format for known in weights.values())]
    return dialect_for(form.bits for form in formats)


def dialect_for(widths: Iterable[int]) -> Dialect:
    """The dialect that has all of ``widths``: QDQ of 4, 8 and 16 bits, QONNX of others."""
    return "qdq" if set(widths) <= set(QDQ_BITS) else "qonnx"


def _imported(made: Any, network: OnnxModel, **rules: Any) -> Graph:
    """The Graph of the model made by those ``rules``, without any in its dialect's arithmetic; an error names the float file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{Path(network.path).stem}.onnx"
        path.write_bytes(made.SerializeToString())
        try:
            return load_graph(path, **rules)
        except AccelsimError as error:
            texts = [str(each).replace(f"{path}: ", "") for each in error.exceptions]
            raise as_one(network.path, [_cannot_run(network, text, made) for text in texts]) from error


def _cannot_run(network: OnnxModel, reason: str, made: Any) -> ModelError:
    """Most is read at 8 bits in QDQ: what is refused there no width and no format helps."""
    is_qdq = all(entry.domain != QONNX_DOMAIN for entry in made.opset_import)
    types = {
        tensor.data_type for tensor in made.graph.initializer if tensor.name.endswith(("zero_point", "weight_codes"))
    }
    remedies = ["take 8 bits for that layer (--layer)"] if types - set(BYTES) or not is_qdq else []
    remedies += [] if is_qdq else ["take the other format (--format qdq)"]
    remedy = f"; {' or '.join(remedies)}" if remedies else ""
    return ModelError(f"{network.path}: quantized so, it cannot run on integers: {reason}{remedy}")


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
        scores.append(float(np.mean(answers(made) == labels)))
    return scores[0], scores[1]


def check_dialect(name: str) -> Dialect | None:
    """``auto`` as None; ConfigError for an unknown name."""
    known: dict[str, Dialect | None] = {"auto": None, "qdq": "qdq", "qonnx": "qonnx"}
    if name not in known:
        raise ConfigError(f"format {name!r}: expected one of {', '.join(known)}")
    return known[name]
