"""A float network that becomes integers at the widths of each point, from one calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from accelsim.arch import Arch, short, validated
from accelsim.errors import ConfigError, InputError
from accelsim.explore.widths import ACTIVATIONS, WEIGHTS, Widths, checked_width, width_path
from accelsim.graph import Graph
from accelsim.importers import load_for, resolve_model, shipped_calibration
from accelsim.names import LayerNames

if TYPE_CHECKING:
    from accelsim.ptq import Calibrated, Quantized, Settings
    from accelsim.ptq.pipeline import Choices, Prepared

MOST_WIDTHS = 256
"""Quantized networks that a process remembers."""
_NO_OPTIONS = ("calib", "weights", "acts", "layers", "with_steps", "without_steps")
"""What follows the workload, or the widths of a point, or is said as often as there are steps."""
_STEPS = {"with_steps": "--with", "without_steps": "--without"}
ITERATIONS = 1000
"""Of AdaRound, for a layer, where nobody says."""


def _layers(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected layers, each with its bits, such as {{logits: w8a8}}, got {short(value)}")
    return tuple((str(name), str(bits)) for name, bits in value.items())


def _calib(value: Any) -> str | tuple[tuple[str, str], ...]:
    files = value.values() if isinstance(value, Mapping) else [value]
    if not all(isinstance(file, str) for file in files):
        raise ValueError(f"expected an .npz of calibration inputs, or workloads, each with its own, got {short(value)}")
    return tuple((str(name), file) for name, file in value.items()) if isinstance(value, Mapping) else str(value)


def _steps(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(step, str) for step in value):
        raise ValueError(f"expected a list of steps of a pipeline, such as [equalization], got {short(value)}")
    return tuple(value)


def _plain(value: str | tuple[tuple[str, str], ...]) -> str | dict[str, str]:
    return value if isinstance(value, str) else dict(value)


class Quantize(BaseModel):
    """How a float network becomes integers: the options of ``accelsim quantize``, by the same names.

    ``calib`` is an .npz of calibration inputs, or one for each workload; empty: those that ship with the network. With a ``pipeline``
    the network goes through its steps, min-max stands for the ranges that these set, and AdaRound learns from the float network's inputs,
    so that a layer's codes at a width are learned once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    calib: Annotated[Any, PlainValidator(_calib), PlainSerializer(_plain)] = ""
    weights: int = 8
    acts: int = 8
    per_channel: bool = False
    symmetric: bool = False
    power_of_two: bool = False
    equalize: bool = False
    bias_correction: bool = False
    range: Literal["minmax", "moving-average", "percentile", "mse", "entropy"] = "minmax"
    percentile: float = 99.99
    accumulator_bits: int | None = None
    weight_format: Literal["symmetric", "asymmetric", "ternary", "power-of-two", "codebook", "nf4"] = "symmetric"
    layers: Annotated[Any, PlainValidator(_layers), PlainSerializer(_plain)] = ()
    format: Literal["auto", "qdq", "qonnx"] = "auto"
    evaluator: Literal["onnx", "onnxruntime"] = "onnx"
    pipeline: Literal["nagel", "krishnamoorthi", "wu"] | None = None
    with_steps: Annotated[Any, PlainValidator(_steps)] = ()
    without_steps: Annotated[Any, PlainValidator(_steps)] = ()
    adaround_iterations: Annotated[int, Field(ge=1)] = ITERATIONS

    @property
    def settings(self) -> Settings:
        """As :func:`accelsim.ptq.quantize_network` takes them; ConfigError for what cannot be."""
        from accelsim.ptq import Settings, parse_layers

        known = self.model_dump(include={field.name for field in fields(Settings)} - {"layers"})
        return Settings(**known, layers=parse_layers(f"{name}={bits}" for name, bits in self.layers))

    @property
    def choices(self) -> Choices:
        """Of the pipeline's steps; ConfigError for steps that cannot be."""
        from accelsim.ptq.pipeline import AdaRound, choices_for

        return choices_for(
            self.settings,
            with_steps=self.with_steps,
            without_steps=self.without_steps,
            range=None if self.range == "minmax" else self.range,
            adaround=AdaRound(iterations=self.adaround_iterations, inputs="float"),
        )

    def of(self, workload: str) -> Quantize:
        """With the calibration inputs of that workload alone."""
        if isinstance(self.calib, str):
            return self
        return self.model_copy(update={"calib": dict(self.calib).get(workload, "")})

    def in_form_for(self, widths: Iterable[int], *, every: bool) -> Quantize:
        """With the format that ``auto`` stands for where those ``widths`` beside its own are ``every`` one: QDQ where it has all of them."""
        from accelsim.ptq import dialect_for

        own = self.settings
        held = {
            own.weights,
            own.acts,
            *widths,
            *(x for one in own.layers.values() for x in (one.weights, one.acts) if x),
        }
        return self.model_copy(update={"format": dialect_for(held) if every else "qonnx"})

    @property
    def options(self) -> list[str]:
        """Words of ``accelsim quantize`` for whatever is not its default, but for calibration and widths."""
        known = {name: field.default for name, field in type(self).model_fields.items() if name not in _NO_OPTIONS}
        given = {name: getattr(self, name) for name, default in known.items() if getattr(self, name) != default}
        steps = [(option, step) for name, option in _STEPS.items() for step in getattr(self, name)]
        if self.pipeline is not None:  # which alone knows steps, and has other defaults
            given |= {"adaround_inputs": "float", "evaluator": self.evaluator}
        words = ((f"--{name.replace('_', '-')}", *(() if x is True else (str(x),))) for name, x in given.items())
        return [word for each in (*words, *steps) for word in each]


def read_quantize(given: Any) -> Quantize:
    """``given``, a mapping of the options of ``accelsim quantize`` or those already read; ConfigError says what is wrong."""
    if isinstance(given, Quantize):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f"expected options of accelsim quantize, such as {{per_channel: true}}, got {short(given)}")
    read = validated(Quantize, given)
    _ = read.settings, read.choices
    if read.pipeline is None and (read.with_steps or read.without_steps):
        raise ConfigError("quantize: with_steps, without_steps: they belong to a pipeline; give pipeline: nagel")
    if "weight-only" in read.with_steps:
        raise ConfigError(
            "quantize: with_steps: weight-only gives activations 16 bits, and widths say otherwise; leave it out"
        )
    return read


@dataclass(frozen=True)
class FloatNetwork:
    """The float network in ``path``, and how it becomes integers."""

    path: Path
    quantize: Quantize

    @classmethod
    def of(cls, model: str | Path, quantize: Any) -> FloatNetwork:
        """The network that ``model`` names; ConfigError, ModelFileError or InputError where it cannot be quantized so."""
        found = cls(resolve_model(model), read_quantize(quantize).of(str(model)))
        _ = found.calibration
        return found

    @property
    def calibration(self) -> Path:
        """The file of calibration inputs; InputError where there is none."""
        given = Path(self.quantize.calib) if self.quantize.calib else shipped_calibration(self.path)
        if not given.is_file():
            raise InputError(
                f"{self.path}: no calibration data{f' in {given}' if self.quantize.calib else ''}; give quantize: {{calib: FILE}}, an .npz "
                "with a hundred or so typical inputs under the key 'input' or the names of the network's inputs"
            )
        return given

    def at(self, widths: Widths = ()) -> Quantized:
        """The network in integers of those widths, edits of :mod:`accelsim.explore.widths`, and of the options' elsewhere.

        A layer's activations are the tensor that it reads. ConfigError for a layer that has no weights or is not there, and for widths
        that contradict one another.
        """
        return _quantized(self, self._files, _checked(widths))

    def chosen(self, widths: Widths) -> Chosen:
        """Those widths as ``accelsim quantize`` takes them; ConfigError where they contradict one another, or a layer is not there."""
        return _chosen(self.calibrated, _checked(widths))

    @property
    def calibrated(self) -> Calibrated | Prepared:
        """What quantizers of any width are made of."""
        return _calibrated(self, self._files)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers with weights."""
        return tuple(self.calibrated.products)

    @property
    def _files(self) -> tuple[int, int]:
        """When the files that it follows from were changed."""
        return self.path.stat().st_mtime_ns, self.calibration.stat().st_mtime_ns

    def load_for(self, arch: Arch, widths: Widths = ()) -> tuple[Graph, Arch]:
        """The Graph at those widths and the machine with an arithmetic, as :func:`accelsim.importers.load_for`."""
        made = self.at(widths)
        if arch.arithmetic is None and arch.scheme is None:
            return load_for(made.graph, arch)
        return load_for(made.read(arithmetic=arch.arithmetic, overrides=arch.operator_schemes), arch)


def _checked(widths: Widths) -> tuple[tuple[str, int], ...]:
    return tuple((path, checked_width(path, value)) for path, value in widths)


@dataclass(frozen=True)
class Chosen:
    """Bits of weights and activations, and (weights, activations) by the name of a layer or tensor, None where it has those of all."""

    weights: int
    acts: int
    layers: Mapping[str, tuple[int | None, int | None]]

    @property
    def words(self) -> list[str]:
        """For ``accelsim quantize``."""
        whole = [("--weights", str(self.weights)), ("--acts", str(self.acts))]
        single = [
            ("--layer", f"{name}={f'w{weights}' if weights else ''}{f'a{acts}' if acts else ''}")
            for name, (weights, acts) in self.layers.items()
        ]
        return [word for pair in (*whole, *single) for word in pair]


def _chosen(calibrated: Calibrated | Prepared, widths: Sequence[tuple[str, int]]) -> Chosen:
    whole, layers = dict[str, int](), dict[str, tuple[int | None, int | None]]()
    for path, bits in widths:
        found = width_path(path)
        if found is None or found.layer is None:
            whole[path] = bits
            continue
        name = _place(calibrated, path, found.layer, found.kind)
        weights, acts = layers.get(name, (None, None))
        if found.kind == ACTIVATIONS and acts not in (None, bits):
            raise ConfigError(
                f"{path}: {bits} bits, but {acts} for another layer that reads the same tensor; give both the same"
            )
        layers[name] = (bits, acts) if found.kind == WEIGHTS else (weights, bits)
    settings = calibrated.settings
    for name, own in settings.layers.items():
        weights, acts = layers.get(name, (None, None))
        layers[name] = (weights or own.weights, acts or own.acts)
    return Chosen(whole.get(WEIGHTS, settings.weights), whole.get(ACTIVATIONS, settings.acts), layers)


@lru_cache(maxsize=MOST_WIDTHS)
def _quantized(network: FloatNetwork, files: tuple[int, int], widths: tuple[tuple[str, int], ...]) -> Quantized:
    from accelsim.ptq import Widths, check_dialect

    calibrated = _calibrated(network, files)
    chosen = _chosen(calibrated, widths)
    layers = {name: Widths(*bits) for name, bits in chosen.layers.items()}
    form = check_dialect(network.quantize.format)
    return calibrated.quantized(weights=chosen.weights, acts=chosen.acts, layers=layers, dialect=form)


def _place(calibrated: Calibrated | Prepared, path: str, layer: str, kind: str) -> str:
    """The name under which quantization settings have a layer's weights, or the tensor that it reads."""
    products = calibrated.products
    try:
        node = list(products)[LayerNames(products).find(layer)]
    except ConfigError as error:
        raise ConfigError(f"{path}: among the layers with weights {error}") from error
    return node if kind == WEIGHTS else products[node]


@lru_cache(maxsize=16)
def _calibrated(network: FloatNetwork, _files: tuple[int, int]) -> Calibrated | Prepared:
    from accelsim.ptq import calibrate_network
    from accelsim.ptq.pipeline import pipeline, prepare, settings_for
    from accelsim.simulation import read_inputs

    given, _ = read_inputs(network.calibration)
    options = network.quantize
    try:
        if options.pipeline is not None:
            settings = settings_for(
                options.settings, symmetric=options.symmetric or pipeline(options.pipeline).symmetric
            )
            return prepare(
                network.path, given, name=options.pipeline, settings=settings, choices=options.choices, evaluator=options.evaluator
            )  # fmt: skip
        return calibrate_network(network.path, given, settings=options.settings, evaluator=options.evaluator)
    except InputError as error:
        raise InputError(f"{network.calibration}: {error}") from error
