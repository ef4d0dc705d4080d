"""AdaRound over a whole network: layer after layer, each from what the layers before it make once they are rounded."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.files import replacing
from accelsim.importers.onnx.file import OnnxNode
from accelsim.ptq.adaround import AdaRound, Layer, Rounded, by_group, from_groups, input_rows, output_places, rounded
from accelsim.ptq.network.float_network import fused_rectifier, rectifier_bounds
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import bias_of, groups_of, is_one_matrix, products
from accelsim.ptq.parameters import ActQuant, WeightQuant, along
from accelsim.ptq.pipeline.draft import Bench, Draft
from accelsim.ptq.pipeline.fake import with_quantizers
from accelsim.ptq.pipeline.walk import Walk

MOST_ROWS = 8192
"""Positions of a layer's output, over all inferences, that its rounding is learned from."""
DIGEST_LENGTH = 20
"""Hexadecimal digits that tell one task from another in a folder of states."""
Known = dict[tuple[str, int, bytes], "tuple[Rounded, bool]"]
"""Layers from float inputs, and whether they were read from a state, by output, bits and scales."""


@dataclass(frozen=True)
class LayerError:
    """A layer's mean square error of its output, by AdaRound's codes and by the nearest; ``resumed``: read from the state."""

    layer: str
    nearest: float
    error: float
    resumed: bool = False


@dataclass(eq=False)
class State:
    """Codes of layers that are done, in files of ``folder``; None keeps none."""

    folder: Path | None
    digest: str = field(default="")

    def read(self, index: int, shape: tuple[int, ...]) -> Rounded | None:
        """Layer ``index`` as it was left, None where it was not or where its file cannot be read."""
        if self.folder is None:
            return None
        try:
            with self._file(index).open("rb") as stream, np.load(stream) as held:
                codes, error, nearest = held["codes"], float(held["error"]), float(held["nearest"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return Rounded(codes.astype(np.int64), error, nearest) if codes.shape == shape else None

    def write(self, index: int, made: Rounded) -> None:
        """Whole or not at all."""
        if self.folder is None:
            return
        with replacing(self._file(index)) as stream:
            np.savez(stream, codes=made.codes.astype(np.int32), error=made.error, nearest=made.nearest)

    def _file(self, index: int) -> Path:
        assert self.folder is not None
        return self.folder / f"adaround-{self.digest}-{index}.npz"


def state_for(folder: Path | None, draft: Draft, bench: Bench, chosen: AdaRound, scales: Mapping[str, Any]) -> State:
    """The state of exactly this task: network, data, scales, widths and settings; InputError for a folder that cannot be made."""
    if folder is None:
        return State(None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--state {folder}: cannot be made: {error.strerror}; give a folder that can be written"
        ) from error
    digest = hashlib.sha256(repr((chosen, draft.plan.weight_bits, draft.settings.per_channel, MOST_ROWS)).encode())
    for node in draft.network.nodes:
        digest.update(repr((node.op, node.inputs, node.outputs, sorted(node.attributes.items(), key=str))).encode())
    assert bench.data is not None
    for arrays in (draft.network.constants, bench.data, scales):
        for name in sorted(arrays):
            digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return State(folder, digest.hexdigest()[:DIGEST_LENGTH])


def learned(
    draft: Draft, bench: Bench, chosen: AdaRound, folder: Path | None = None, known: Known | None = None
) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.float32]], list[LayerError]]:
    """Codes and scales by the output of each layer, and what each gained.

    Layers of 1-bit weights, and products with a matrix for each of several, keep the nearest codes. What is ``known`` of layers whose inputs
    are the float network's is taken, what is learned comes to it.
    """
    assert bench.data is not None
    network = draft.network
    acts, weights = bench.codes(draft)
    nodes = [
        n for n in products(network) if is_one_matrix(n, network.constants) and not weights[n.outputs[0]].format.bipolar
    ]
    state = state_for(folder, draft, bench, chosen, {name: held.scales for name, held in weights.items()})
    task = _Task(draft, bench, chosen, state, nodes, weights)
    known = {} if known is None else known
    made = task.from_float(known) if chosen.inputs == "float" else task.from_quantized(acts)
    codes = {n.outputs[0]: from_groups(n, made[n.outputs[0]][0].codes, task.values(n)) for n in nodes}
    errors = [
        LayerError(network.layer_name(n), found.nearest, found.error, resumed)
        for n, (found, resumed) in zip(nodes, made.values(), strict=True)
    ]
    return codes, {name: weights[name].scales for name in codes}, errors


@dataclass(frozen=True, eq=False)
class _Task:
    """The layers of a network that are to be rounded."""

    draft: Draft
    bench: Bench
    chosen: AdaRound
    state: State
    nodes: Sequence[OnnxNode]
    weights: Mapping[str, WeightQuant]

    def values(self, node: OnnxNode) -> NDArray[np.float32]:
        return self.draft.network.constants[node.inputs[1]]

    def from_float(self, known: Known) -> dict[str, tuple[Rounded, bool]]:
        """Each layer from what the float network makes: alike whatever the others are rounded to."""
        assert self.bench.data is not None
        made, real = {}, Walk(self.draft.network, self.bench.data, evaluator=self.bench.evaluator)
        for i, node in enumerate(self.nodes):
            name, held = node.outputs[0], self.weights[node.outputs[0]]
            key = name, held.format.bits, held.scales.tobytes()
            if key not in known:
                known[key] = self.layer(i, node, lambda node=node: (real.until(node.inputs[0]),) * 2)  # type: ignore[misc]
            made[name] = known[key]
        return made

    def from_quantized(self, acts: Mapping[str, ActQuant]) -> dict[str, tuple[Rounded, bool]]:
        """Each layer from what the layers before it make once they are rounded."""
        assert self.bench.data is not None
        network, data, evaluator = self.draft.network, self.bench.data, self.bench.evaluator
        nearest = {name: (held.real, _bias(network, name)) for name, held in self.weights.items()}
        real = Walk(network, data, evaluator=evaluator)
        rough = Walk(with_quantizers(with_weights(network, nearest), acts), data, evaluator=evaluator)
        owns = {node.outputs: own for node, own in zip(products(network), products(rough.model), strict=True)}
        made = {}
        for i, node in enumerate(self.nodes):
            name, own = node.outputs[0], owns[node.outputs]
            held, values = self.weights[name], self.values(node)
            inputs = real.until(node.inputs[0]), rough.until(own.inputs[0])
            made[name] = self.layer(i, node, lambda inputs=inputs: inputs)  # type: ignore[misc]
            codes = from_groups(node, made[name][0].codes, values)
            real_values = codes * along(held.scales, held.axis, values.ndim)
            rough.change(own, own, {own.inputs[1]: real_values.astype(np.float32)})
        return made

    def layer(
        self, i: int, node: OnnxNode, inputs: Callable[[], tuple[NDArray[np.float32], NDArray[np.float32]]]
    ) -> tuple[Rounded, bool]:
        """Rounded, and whether as it was left; ``inputs`` are those of the float network and those to learn from."""
        found = self.state.read(i, by_group(node, self.values(node)).shape)
        if found is not None:
            return found, True
        layer = _layer(self.draft, self.bench, node, self.weights[node.outputs[0]], *inputs())
        name = self.draft.network.layer_name(node)
        found = rounded(layer, self.chosen, step=_teller(self.bench, name, i, len(self.nodes), self.chosen))
        self.state.write(i, found)
        return found, False


def _teller(bench: Bench, layer: str, index: int, count: int, chosen: AdaRound) -> Any:
    if bench.progress is None:
        return None
    tell = bench.progress

    def told(iteration: int) -> None:
        if iteration % 50 == 0:
            tell(f"AdaRound, {layer}: iterations", index * chosen.iterations + iteration, count * chosen.iterations)

    return told


def _bias(network: Any, name: str) -> NDArray[np.float32] | None:
    node = network.producer(name)
    assert node is not None
    return bias_of(node, network.constants)


def _layer(
    draft: Draft, bench: Bench, node: OnnxNode, held: WeightQuant, x: NDArray[np.float32], rough: NDArray[np.float32]
) -> Layer:
    """Rows drawn from every inference alike."""
    network, shapes = draft.network, bench.evidence(draft).shapes
    values = network.constants[node.inputs[1]].astype(np.float32)
    rng = np.random.default_rng(0)
    share = max(MOST_ROWS // len(x), 1)
    output = shapes[node.outputs[0]]
    places = [output_places(node, output, share, rng) for _ in x]
    real, given = (
        np.concatenate(
            [input_rows(node, one, values, output, at) for one, at in zip(many, places, strict=True)], axis=1
        )
        for many in (x, rough)
    )
    bias = bias_of(node, network.constants)
    groups = groups_of(node)
    column = np.broadcast_to(along(held.scales, held.axis, values.ndim), values.shape)
    low, high = rectifier_bounds(network, fused_rectifier(network, node))
    grouped = by_group(node, values)
    offset = np.zeros(grouped.shape[:2], np.float32) if bias is None else bias.reshape(groups, -1)
    layer = Layer(
        x=real, target=real[:, :, :0], weights=grouped, bias=offset[:, None, :], scales=by_group(node, column).astype(np.float32),
        least=held.format.min, most=held.format.max, low=low, high=high,
    )  # fmt: skip
    return replace(layer, x=given, target=layer.output(real, grouped))
