"""Their numbers against the golden ones: the first difference, and the fault that explains most."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.codes import code_guesses
from accelsim.handoff.compare.golden import GoldenLayer
from accelsim.handoff.compare.kinds import Array, Guess
from accelsim.handoff.compare.moved import moved_guesses
from accelsim.handoff.compare.records import Difference, Reason, StreamComparison, VectorComparison
from accelsim.handoff.compare.sums import sum_guesses
from accelsim.handoff.compare.theirs import Found, find, numbers
from accelsim.handoff.compare.tiles import lost_steps, tile_guesses
from accelsim.handoff.vectors import read_manifest
from accelsim.verification import decimal

MOST_REASONS = 3
LEAST_SHARE = 0.02
"""Of the differences: a fault that explains less is no reason."""
Progress = Callable[[str, int, int], None]


def compare_vectors(
    folder: str | Path,
    theirs: str | Path,
    *,
    layer: str | None = None,
    stream: str | None = None,
    progress: Progress | None = None,
) -> VectorComparison:
    """``theirs``, a file or a directory laid out as ``folder``, against the vectors that an export wrote into ``folder``.

    A lone file is the output of the layer that its name says, or the ``stream`` of ``layer``. AccelsimError where there is nothing to compare.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    layers = manifest["layers"]
    found = find(Path(theirs), layers, layer=layer, stream=stream)
    comparer = _Comparer(root, layers, manifest["machine"]["array"]["rows"])
    made = []
    for number, one in enumerate(found):
        made.append(comparer.compared(one))
        if progress is not None:
            progress("streams", number + 1, len(found))
    seen = {one.layer["name"] for one in found}
    missing = (
        tuple(entry["name"] for entry in layers if entry["name"] not in seen)
        if layer is None and Path(theirs).is_dir()
        else ()
    )
    return VectorComparison(network=manifest["network"], streams=tuple(made), missing=missing)


class _Comparer:
    """Streams one after another; ``_wrong`` keeps their outputs and sums that differ, from which others may follow."""

    def __init__(self, root: Path, layers: Sequence[Mapping[str, Any]], rows: int) -> None:
        self._root, self._layers, self._rows = root, layers, rows
        self._outputs: dict[str, tuple[str, Array]] = {}
        self._sums: dict[str, Array] = {}
        self._golden: GoldenLayer | None = None

    def compared(self, found: Found) -> StreamComparison:
        """One file."""
        if self._golden is None or self._golden.entry is not found.layer:
            self._golden = GoldenLayer(self._root, found.layer, self._rows)
        layer, got = self._golden, numbers(found)
        expected = layer.stream(found.stream)
        wrong = _differing(got, expected)
        count = int(wrong.sum())
        facts = {
            "layer": found.layer["name"],
            "folder": found.layer["folder"],
            "stream": found.stream,
            "elements": got.size,
        }
        if not count:
            return StreamComparison(**facts, differing=0)
        operations = _operations(self._root, found.layer)
        first = _first(layer, found.stream, expected, got, wrong, operations)
        reasons = tuple(_reasons(got, expected, wrong, self._guesses(layer, found.stream, operations)))
        if found.stream == "output":
            self._outputs[found.layer["output"]["tensor"]] = (found.layer["name"], got)
        if found.stream == "accumulators":
            self._sums[found.layer["name"]] = got
        return StreamComparison(**facts, differing=count, first=first, reasons=reasons)

    def _guesses(self, layer: GoldenLayer, stream: str, operations: Sequence[Mapping[str, Any]]) -> Iterator[Guess]:
        name = layer.entry["name"]
        if stream in ("accumulators", "output"):
            source = self._outputs.get(layer.entry["input"]["tensor"])
            if source is not None:
                yield self._upstream(layer, stream, *source)
        if stream == "output":
            if name in self._sums:
                yield Guess(kinds.SUMS, "follows from the accumulators", partial(layer.codes, self._sums[name]))
            yield from code_guesses(layer, layer.stream("accumulators"))
        if stream in ("accumulators", "output"):
            for guess in sum_guesses(layer):
                yield guess if stream == "accumulators" else _requantized(layer, guess)
            for guess in (*lost_steps(layer, operations), *tile_guesses(layer, operations)):
                yield guess if stream == "accumulators" else _requantized(layer, guess)
        if stream == "tile_after":
            yield from _tile_steps(layer)
        boxes = _boxes(operations, stream)
        yield from moved_guesses(layer.stream(stream), layer.entry["streams"][stream], boxes)

    @staticmethod
    def _upstream(layer: GoldenLayer, stream: str, source: str, codes: Array) -> Guess:
        def made() -> Array:
            moved = layer.products(layer.image(codes), layer.stream("weights"), layer.zero) - layer.plain
            sums = layer.fitted(layer.stream("accumulators") + moved)
            return sums if stream == "accumulators" else layer.codes(sums)

        return Guess(kinds.UPSTREAM, f"follows from the output of layer {source!r}", made)


def _tile_steps(layer: GoldenLayer) -> Iterator[Guess]:
    before, after = layer.stream("tile_before"), layer.stream("tile_after")
    yield Guess(
        kinds.LOST_STEP, "lost partial sum: a step begins at 0", lambda: layer.fitted(after - before), sporadic=True
    )
    yield Guess(kinds.LOST_STEP, "lost partial sum: a step is not added", lambda: layer.fitted(before), sporadic=True)


def _requantized(layer: GoldenLayer, guess: Guess) -> Guess:
    return Guess(guess.kind, guess.text, lambda: layer.codes(guess.made()), guess.sporadic)


def _differing(got: Array, expected: Array) -> NDArray[np.bool_]:
    equal = (got == expected) | ((got != got) & (expected != expected))
    wrong: NDArray[np.bool_] = ~equal
    return wrong


def _operations(root: Path, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    path = root / entry["operations"]
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="ascii"))["operations"]
    except (OSError, ValueError, KeyError) as error:
        raise AccelsimError(f"{path}: cannot read the tile operations: {error}; export the vectors again") from error
    return found


def _boxes(operations: Sequence[Mapping[str, Any]], stream: str) -> list[tuple[slice, ...]]:
    """Parts of a stream that operations wrote: of the outputs' view, or of a flat tile stream."""
    if stream.startswith("tile_"):
        parts = [one["data"][stream] for one in operations if stream in one.get("data", {})]
        return [(slice(first, first + count),) for first, count in parts]
    if stream not in ("accumulators", "output"):
        return []
    done = [one["box"] for one in operations if one["engine"] == "requantize"]
    return [tuple(slice(a, b) for a, b in zip(*box, strict=True)) for box in done]


def _first(
    layer: GoldenLayer, stream: str, expected: Array, got: Array, wrong: NDArray[np.bool_],
    operations: Sequence[Mapping[str, Any]],
) -> Difference:  # fmt: skip
    """Of the operations that differ the first in program order, and in it the first element; without operations the first element."""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    operation = None
    engine = "requantize" if stream in ("accumulators", "output") else None
    boxes = _boxes(operations, stream)
    owners = [one for one in operations if (one["engine"] == engine if engine else stream in one.get("data", {}))]
    for one, box in zip(owners, boxes, strict=True):
        inside = np.argwhere(wrong[box])
        if len(inside):
            at = tuple(int(side.start + i) for side, i in zip(box, inside[0], strict=True))
            operation = int(one["operation"])
            break
    sums = layer.stream("accumulators") if stream == "output" else None
    return Difference(
        index=at, axes=tuple(layer.entry["streams"][stream]["axes"]), operation=operation, expected=expected[at].item(),
        got=got[at].item(), accumulator=None if sums is None else int(sums[at]), real=None if sums is None else _real(layer, at),
    )  # fmt: skip


def _real(layer: GoldenLayer, at: tuple[int, ...]) -> str | None:
    if layer.exact is None:
        return None
    value: Fraction = layer.exact.value(int(layer.stream("accumulators")[at]), at[-1])
    return decimal(value, digits=6)


def _reasons(got: Array, expected: Array, wrong: NDArray[np.bool_], guesses: Iterable[Guess]) -> Iterator[Reason]:
    """The best guess, then the best of what it leaves unexplained, as long as one explains more than a little."""
    at = np.flatnonzero(wrong)
    theirs, golden = got.reshape(-1), expected.reshape(-1)
    scored, left = [], np.ones(at.size, dtype=np.bool_)
    for rank, guess in enumerate(guesses):
        try:
            made = guess.made().reshape(-1)
        except AccelsimError:  # a rule that does not take such sums
            continue
        fits = made[at] == theirs[at]
        if fits.any():
            changed = _differing(made, golden)
            unseen = 0 if guess.sporadic else int(changed.sum() - changed[at].sum())
            scored.append(_Scored(guess, np.packbits(fits), unseen, rank))
    for _ in range(MOST_REASONS):
        best = max(scored, key=lambda one: one.score(left), default=None)
        if best is None or best.score(left)[0] <= 0 or best.explained(left) < max(1, LEAST_SHARE * at.size):
            break
        yield Reason(
            kind=best.guess.kind, text=best.guess.text, explained=best.explained(left), differing=at.size, unseen=best.unseen
        )  # fmt: skip
        left &= ~best.fits(at.size)


class _Scored(NamedTuple):
    """A guess, which of the differing numbers it makes (a bit for each), how many golden ones it would change, and its place."""

    guess: Guess
    packed: NDArray[np.uint8]
    unseen: int
    rank: int

    def fits(self, count: int) -> NDArray[np.bool_]:
        """The bits of ``packed``."""
        return np.unpackbits(self.packed, count=count).astype(np.bool_)

    def explained(self, left: NDArray[np.bool_]) -> int:
        """How many of those that are ``left`` it makes."""
        return int((self.fits(left.size) & left).sum())

    def score(self, left: NDArray[np.bool_]) -> tuple[int, int, int]:
        """What it explains, less what it says of golden numbers; at a tie systematic faults, then those named first."""
        return self.explained(left) - self.unseen, -int(self.guess.sporadic), -self.rank
