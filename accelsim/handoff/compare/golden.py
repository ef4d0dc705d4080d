"""A layer read back from its vectors: arrays, sums of changed operands, codes of changed sums."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import MacGeometry
from accelsim.handoff.vectors import parse_hex
from accelsim.kernels import accumulate_block
from accelsim.numerics import (
    INT64,
    SCHEMES,
    IntFormat,
    Overflow,
    Requant,
    Requantization,
    StagedScheme,
    Thresholds,
    fit_array,
    requantize,
    scheme_named,
)
from accelsim.verification import ExactRequant, multipliers_of

Array = NDArray[Any]


def read_stream(folder: Path, stream: Mapping[str, Any]) -> Array:
    """A golden stream, from whichever form was exported: int64 (or floats) in its shape."""
    shape, files = tuple(stream["shape"]), stream["files"]
    if not files:
        return np.zeros(shape, dtype=np.int64)
    form = next(fmt for fmt in ("npy", "hex", "c") if fmt in files)
    path = folder / files[form]
    try:
        if form == "npy":
            values = np.load(path, allow_pickle=False)
        elif form == "hex":
            values = decoded(parse_hex(path.read_bytes(), str(path)), stream)
        else:
            values = _of_c(path.read_text(encoding="utf-8"), stream)
    except (OSError, ValueError) as error:
        raise AccelsimError(f"{path}: {error}; export the vectors again") from error
    if values.size != np.prod(shape, dtype=np.int64):
        raise AccelsimError(f"{path}: {values.size} numbers, {int(np.prod(shape))} expected; export the vectors again")
    made: Array = values if values.dtype.kind == "f" else values.astype(np.int64)
    return made.reshape(shape)


def decoded(words: NDArray[np.uint64], stream: Mapping[str, Any]) -> Array:
    """Words of hexadecimal text as numbers of the stream; higher bits than its own count unless they repeat the sign."""
    bits = stream["bits"]
    if stream["kind"] == "float":
        floats: Array = words.astype(np.uint32).view(np.float32) if bits == 32 else words.view(np.float64)
        return floats
    low = words & np.uint64((1 << bits) - 1)
    if not stream["signed"]:
        plain: Array = words.view(np.int64)
        return plain
    narrow = (low.view(np.int64) << np.int64(64 - bits)) >> np.int64(64 - bits)
    above = words >> np.uint64(bits) if bits < 64 else np.zeros_like(words)
    # A word that is wider than its number is that number where all bits above repeat its sign, up to some width.
    ones = (above & (above + np.uint64(1))) == 0
    fits = (above == 0) | (ones & (narrow < 0))
    numbers: Array = np.where(fits, narrow, words.view(np.int64))
    return numbers


def _of_c(text: str, stream: Mapping[str, Any]) -> Array:
    numbers = re.findall(r"-?\w+", text.partition("{\n")[2].partition("}")[0])
    if stream["kind"] == "float":
        return decoded(np.array([int(number, 16) for number in numbers], dtype=np.uint64), stream)
    return np.array(numbers, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class GoldenLayer:
    """The layer of ``entry`` in the manifest of ``folder``."""

    folder: Path
    entry: Mapping[str, Any]
    rows: int = 1
    """Of the machine's array: products that it adds at once."""

    def stream(self, name: str) -> Array:
        """Its numbers, in their shape."""
        if name not in self._read:
            self._read[name] = read_stream(self.folder, self.entry["streams"][name])
        return self._read[name]

    @cached_property
    def _read(self) -> dict[str, Array]:
        return {}

    @property
    def zero(self) -> int:
        """Zero point of the input."""
        return int(self.entry["sum"]["input_zero_point"])

    @cached_property
    def accumulator(self) -> IntFormat:
        """Of one sum."""
        return IntFormat(self.entry["sum"]["accumulator"]["bits"])

    @cached_property
    def overflow(self) -> Overflow:
        """What becomes of one that does not fit."""
        policy = Overflow(self.entry["sum"]["accumulator"]["overflow"])
        return Overflow.WRAP if policy is Overflow.TRAP else policy

    @cached_property
    def output(self) -> IntFormat:
        """Of a code."""
        stream = self.entry["streams"]["output"]
        return IntFormat(stream["bits"], stream["signed"])

    @cached_property
    def geometry(self) -> MacGeometry:
        """Of the padded image, which has no more padding."""
        rule, shapes = self.entry["sum"], {name: s["shape"] for name, s in self.entry["streams"].items()}
        (n, rows, columns, ic), (oc, kh, kw, _) = shapes["activations"], shapes["weights"]
        _, oh, ow, _ = shapes["output"]
        return MacGeometry(
            n=n, ih=rows, iw=columns, ic=ic, oh=oh, ow=ow, oc=oc, kh=kh, kw=kw,
            stride_h=rule["stride"][0], stride_w=rule["stride"][1], dilation_h=rule["dilation"][0],
            dilation_w=rule["dilation"][1], groups=oc // rule["outputs_per_group"],
        )  # fmt: skip

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Places of the padded image that hold a code of the input: (rows, columns)."""
        both = np.ones((), dtype=np.bool_)
        for axis, place in enumerate(self.sides):
            spread, size = (self.entry["sum"][name][axis + first] for name, first in (("spread", 0), ("input_view", 1)))
            both = both & (place >= 0) & (place % spread == 0) & (place < spread * size)
        return both

    @cached_property
    def sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row (rows, 1) and column (1, columns) of the input under each place of the padded image; those of padding are beside it."""
        _, rows, columns, _ = self.entry["streams"]["activations"]["shape"]
        return np.arange(rows)[:, None] - self.top, np.arange(columns)[None, :] - self.left

    @property
    def top(self) -> int:
        """Rows of padding above."""
        return int(self.entry["sum"]["padding"][0])

    @property
    def left(self) -> int:
        """Columns of padding on the left."""
        return int(self.entry["sum"]["padding"][1])

    @cached_property
    def view(self) -> Array:
        """The codes of the input, without padding: (n, rows, columns, channels); those that no window takes are the zero point."""
        rule = self.entry["sum"]
        view = np.full(tuple(rule["input_view"]), self.zero, dtype=np.int64)
        rows, columns = np.nonzero(self.held)
        source = [(at - rule["padding"][axis]) // rule["spread"][axis] for axis, at in enumerate((rows, columns))]
        view[:, source[0], source[1]] = self.stream("activations")[:, rows, columns]
        return view

    def image(self, codes: Array) -> Array:
        """The padded image of other codes of the input."""
        image = self.stream("activations").copy()
        view = codes.reshape(self.entry["sum"]["input_view"])
        rule, rows, columns = self.entry["sum"], *np.nonzero(self.held)
        source = [(at - rule["padding"][axis]) // rule["spread"][axis] for axis, at in enumerate((rows, columns))]
        image[:, rows, columns] = view[:, source[0], source[1]]
        return image

    def products(self, image: Array, weights: Array, zero: int) -> Array:
        """Sums without bias, as 64-bit integers."""
        sums = np.zeros(self.entry["streams"]["output"]["shape"], dtype=np.int64)
        accumulate_block(
            sums, narrowed(image), narrowed(weights), geometry=self.geometry, output_origin=(0, 0, 0, 0),
            input_origin=(0, 0, 0, 0), weight_origin=(0, 0, 0, 0), input_zero_point=zero, accumulator=INT64,
            overflow=Overflow.WRAP, where=self.entry["name"],
        )  # fmt: skip
        return sums

    @cached_property
    def plain(self) -> Array:
        """Its own sums, without bias and without an end."""
        return self.products(self.stream("activations"), self.stream("weights"), self.zero)

    def fitted(self, sums: Array) -> Array:
        """As the accumulator holds them."""
        return fit_array(sums, self.accumulator, self.overflow)

    @cached_property
    def requant(self) -> Requantization:
        """What takes sums to codes."""
        rule, get = self.entry["requantization"], self.stream
        if rule["scheme"] == Thresholds.scheme:
            return Thresholds(levels=get("levels"), start=get("start"), step=get("step"))
        ends = rule["zero_point"], rule["clamp_min"], rule["clamp_max"]
        if rule.get("registers"):
            registers = rule["registers"]
            return Requant(
                rule["scheme"], np.array(registers["multiplier"], dtype=np.int64), np.array(registers["shift"]), *ends
            )
        names = rule["parameters"]
        columns = [get(name) for name in names if name != "shift"]
        count = max(len(get(name)) for name in names)
        kind = scheme_named(rule["scheme"]).family.dtype
        multiplier = (
            np.ones(count, dtype=kind)
            if not columns
            else columns[0]
            if len(columns) == 1
            else np.stack(columns, axis=1)
        )
        return Requant(
            rule["scheme"], multiplier, get("shift") if "shift" in names else np.zeros(count, dtype=np.int32), *ends
        )

    def codes(self, sums: Array, requant: Requantization | None = None) -> Array:
        """Codes of sums, which saturate first where the rule takes no wider ones."""
        rule = requant or self.requant
        wide = 64 if isinstance(rule, Thresholds) else rule.rule.wide
        made: Array = requantize(fit_array(sums, IntFormat(wide), Overflow.SATURATE), rule).astype(np.int64)
        return made

    @cached_property
    def exact(self) -> ExactRequant | None:
        """The multiplication without its own roundings; None of thresholds, and of lists of stages."""
        rule = self.requant
        if not isinstance(rule, Requant) or isinstance(rule.rule, StagedScheme) or rule.scheme not in SCHEMES:
            return None
        return ExactRequant(
            multipliers_of(rule), rule.rule.tie, rule.zero_point, rule.clamp_min, rule.clamp_max, rule.rule.parity
        )


def narrowed(values: Array) -> Array:
    """16-bit integers where they hold the values, which kernels take faster."""
    fits = values.size == 0 or (int(values.min()) >= -(2**15) and int(values.max()) < 2**15)
    return values.astype(np.int16) if fits else values.astype(np.int64)
