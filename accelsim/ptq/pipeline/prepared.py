"""A network behind those steps of a pipeline that widths change nothing about; the others are taken for any widths, what is found once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel
from accelsim.ptq.parameters import ActQuant, WeightQuant
from accelsim.ptq.pipeline.choices import Choices
from accelsim.ptq.pipeline.draft import Draft, Progress
from accelsim.ptq.pipeline.recipes import check_format, chosen_steps, pipeline
from accelsim.ptq.pipeline.start import begun, count_of
from accelsim.ptq.pipeline.steps import Run, Step
from accelsim.ptq.quantization import AnyWidths
from accelsim.ptq.settings import Settings, Widths

Arrays = Mapping[str, NDArray[Any]]
Layers = Mapping[str, Widths]


@dataclass(frozen=True, eq=False)
class Prepared(AnyWidths):
    """The float network behind the steps that are the same for all widths, and the ``steps`` that follow.

    What these find for a layer or an activation at a width is kept for other widths of the others: scales, ranges, and, where AdaRound
    learns from the float network's inputs, codes. :meth:`quantized` is what :func:`run_pipeline` makes of the same settings and choices.
    """

    path: Path
    draft: Draft
    run: Run
    steps: tuple[Step, ...]
    inputs: int

    @property
    def network(self) -> OnnxModel:
        """The float network."""
        return self.draft.network

    @property
    def settings(self) -> Settings:
        """Those that widths are exceptions from."""
        return self.draft.settings

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors."""
        return self.run.bench.evidence(self.draft).shapes

    def held_to(self, accumulator_bits: int | None) -> Prepared:
        """The same with weights held to accumulators of so many bits, or to none; what is found is shared."""
        return replace(
            self, draft=replace(self.draft, settings=replace(self.settings, accumulator_bits=accumulator_bits))
        )

    @property
    def alone(self) -> Prepared:
        """Without the steps that follow what all quantizers do together: for what one of them does."""
        return replace(self, steps=tuple(step for step in self.steps if not step.of_all))

    def parameters(self, chosen: Settings) -> tuple[dict[str, ActQuant], dict[str, WeightQuant]]:
        """Codes of all activations and weights."""
        draft = replace(self.draft, settings=chosen)
        for step in self.steps:
            draft, _ = step.act(draft, self.run)
        return self.run.bench.codes(draft)


def prepare(
    path: str | Path,
    calibration: Arrays,
    *,
    name: str,
    settings: Settings | None = None,
    choices: Choices | None = None,
    evaluator: str = "auto",
    progress: Progress | None = None,
) -> Prepared:
    """The float network at ``path`` behind the steps of pipeline ``name`` that are the same for all widths; arguments as of
    :func:`run_pipeline`."""
    recipe, given = pipeline(name), choices or Choices()
    steps = chosen_steps(recipe, given, has_data=True)
    check_format(steps, settings or Settings())
    path, bench, draft, notes = begun(path, calibration, None, settings or Settings(), given, evaluator)
    bench.progress = progress
    run = Run(bench, given, given.range or recipe.range, notes)
    for step in steps:
        if step.of_network:
            draft, _ = step.act(draft, run)
    return Prepared(path, draft, run, tuple(step for step in steps if not step.of_network), count_of(calibration))
