"""A reader of exported vectors that knows the manifest alone: plain Python, nothing of the program that wrote them.

It computes every step of every sum, and every code, by the formulas in the manifest, and says where a number is not theirs.
"""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any


def read(folder: Path) -> dict[str, dict[str, list[int]]]:
    """Accumulators and outputs of every layer, recomputed; AssertionError where a file has others."""
    manifest = json.loads((folder / "manifest.json").read_text())
    functions = notation(manifest["notation"]["functions"])
    return {entry["name"]: Layer(folder, entry, functions).recomputed() for entry in manifest["layers"]}


def notation(calls: dict[str, str]) -> dict[str, Any]:
    names: dict[str, Any] = {"min": min, "max": max, "rint": rint, "round_away": round_away, "reached": reached}
    names |= {"float32": lambda r: nearest(Fraction(r), 24, -149), "float64": lambda r: nearest(Fraction(r), 53, -1074)}
    for call, body in calls.items():
        name, _, arguments = call[:-1].partition("(")
        names[name] = eval(f"lambda {arguments}: {body}", names)
    return names


def rint(r: Any) -> int:
    return round(Fraction(r))


def round_away(r: Any) -> int:
    size = int(abs(Fraction(r)) + Fraction(1, 2))
    return size if r >= 0 else -size


def reached(x: int, levels: list[int]) -> int:
    return sum(level <= x for level in levels)


def nearest(r: Fraction, digits: int, least: int) -> Fraction:
    """The binary floating-point number next to ``r``; ``round`` of a Fraction takes ties to even."""
    if r == 0:
        return r
    exponent = abs(r.numerator).bit_length() - r.denominator.bit_length()
    exponent -= abs(r) < Fraction(2) ** exponent
    unit = Fraction(2) ** max(exponent - digits + 1, least)
    return round(r / unit) * unit


class Layer:
    def __init__(self, folder: Path, entry: dict[str, Any], functions: dict[str, Any]) -> None:
        self.folder, self.entry, self.functions = folder, entry, functions
        self.streams = {name: self.stream(stream) for name, stream in entry["streams"].items()}
        self.shape = entry["streams"]["output"]["shape"]
        self.rule, self.requant = entry["sum"], entry["requantization"]
        self.names = {
            name: self.requant[name]
            for name in ("zero_point", "clamp_min", "clamp_max", "table")
            if name in self.requant
        }

    def stream(self, stream: dict[str, Any]) -> list[Any]:
        if "hex" not in stream["files"]:
            return []
        words = [int(line, 16) for line in (self.folder / stream["files"]["hex"]).read_text().split()]
        bits, half = stream["bits"], 1 << (stream["bits"] - 1)
        if stream["kind"] == "float":
            packed = "<f" if bits == 32 else "<d"
            return [Fraction(struct.unpack(packed, word.to_bytes(bits // 8, "little"))[0]) for word in words]
        return [(word ^ half) - half for word in words] if stream["signed"] else words

    def recomputed(self) -> dict[str, list[int]]:
        operations = [
            json.loads(line.rstrip(","))
            for line in (self.folder / self.entry["operations"]).read_text().split("\n")[1:-2]
        ]
        n, oh, ow, oc = self.shape
        made = {name: [None] * (n * oh * ow * oc) for name in ("accumulators", "output")}
        after: dict[int, list[int]] = {}
        for op in operations:
            if op["engine"] == "compute":
                self.check_start(op, after)
                after[op["operation"]] = self.step(op)
                assert after[op["operation"]] == self.part(op, "tile_after"), f"operation {op['operation']}"
            elif op["engine"] == "requantize":
                places = list(self.places(op["box"]))
                sums = after[op["reads"][0]]
                codes = [self.code(acc, place[3]) for acc, place in zip(sums, places, strict=True)]
                assert codes == self.part(op, "tile_output"), f"operation {op['operation']}"
                for (b, y, x, o), acc, code in zip(places, sums, codes, strict=True):
                    at = ((b * oh + y) * ow + x) * oc + o
                    made["accumulators"][at], made["output"][at] = acc, code
        for name, values in made.items():
            assert values == self.streams[name], f"{self.entry['name']}: {name}"
        self.check_whole()
        return made

    def part(self, op: dict[str, Any], name: str) -> list[int]:
        first, count = op["data"][name]
        return self.streams[name][first : first + count]

    @staticmethod
    def places(box: list[list[int]]) -> Any:
        return product(*(range(a, b) for a, b in zip(*box, strict=True)))

    def check_start(self, op: dict[str, Any], after: dict[int, list[int]]) -> None:
        before = self.part(op, "tile_before")
        bias = [self.streams["bias"][o] for _, _, _, o in self.places(op["box"])]
        assert before == (after[op["reads"][2]] if len(op["reads"]) > 2 else bias), f"operation {op['operation']}"

    def fit(self, acc: int) -> int:
        names = {**self.functions, "acc": acc}
        exec(self.rule["fit"], names)
        return names["acc"]

    def step(self, op: dict[str, Any]) -> list[int]:
        """One step of the sums of a tile, in the order and the groups that the manifest states."""
        weights, window = self.part(op, "tile_weights"), self.part(op, "tile_activations")
        _, rows, columns, channels = op["shapes"]["tile_activations"]
        (_, kh, kw, depth), (sh, sw), (dh, dw) = (
            op["shapes"]["tile_weights"],
            op["window"]["stride"],
            op["window"]["dilation"],
        )
        (n0, y0, x0, o0), first = op["box"][0], op["first"]
        size = kh * kw * depth if self.rule["products_per_add"] == "tile" else self.rule["products_per_add"]
        zero, done = self.rule["input_zero_point"], []
        for acc, (b, y, x, o) in zip(self.part(op, "tile_before"), self.places(op["box"]), strict=True):
            start = o // self.rule["outputs_per_group"] * self.rule["channels_per_group"]
            start += first["weight_channel"] - first["activation_channel"]
            products = [
                weights[(((o - o0) * kh + ky) * kw + kx) * depth + c]
                * (window[(((b - n0) * rows + (y - y0) * sh + ky * dh) * columns + (x - x0) * sw + kx * dw) * channels + start + c] - zero)
                for ky in range(kh) for kx in range(kw) for c in range(depth)
            ]  # fmt: skip
            acc = self.fit(acc)
            for at in range(0, len(products), max(size, 1)):
                acc = self.fit(acc + sum(products[at : at + size]))
            done.append(acc)
        return done

    def code(self, acc: int, channel: int) -> int:
        names = {**self.functions, **self.names, "x": acc}
        for name in self.requant["parameters"]:
            shape, values = self.entry["streams"][name]["shape"], self.streams[name]
            row = channel if shape[0] > 1 else 0
            names[name] = values[row] if len(shape) == 1 else values[row * shape[1] : (row + 1) * shape[1]]
        codes = []
        for steps in (self.requant["steps"], self.requant["form"]):
            if steps is not None:
                known = dict(names)
                for form in ("factor", "offset", "negative", "shift") if steps is self.requant["form"] else ():
                    values = self.streams[f"form_{form}"]
                    known[f"form_{form}"] = values[channel if len(values) > 1 else 0]
                exec("\n".join(steps), known)
                codes.append(known["code"])
        assert len(set(codes)) == 1, f"{self.entry['name']}: formula and form differ"
        return int(codes[0])

    def check_whole(self) -> None:
        """The formula of the whole layer, where order does not matter."""
        if self.rule["accumulator"]["overflow"].startswith("saturate"):
            return
        shapes = {name: self.entry["streams"][name]["shape"] for name in ("weights", "activations")}
        _, kh, kw, depth = shapes["weights"]
        _, rows, columns, channels = shapes["activations"]
        weights, image = self.streams["weights"], self.streams["activations"]
        (sh, sw), (dh, dw), zero = self.rule["stride"], self.rule["dilation"], self.rule["input_zero_point"]
        for at, (b, y, x, o) in enumerate(product(*map(range, self.shape))):
            start = o // self.rule["outputs_per_group"] * self.rule["channels_per_group"]
            total = sum(
                weights[((o * kh + ky) * kw + kx) * depth + c]
                * (image[((b * rows + y * sh + ky * dh) * columns + x * sw + kx * dw) * channels + start + c] - zero)
                for ky in range(kh) for kx in range(kw) for c in range(depth)
            )  # fmt: skip
            acc = self.fit(self.fit(self.streams["bias"][o]) + total)
            assert acc == self.streams["accumulators"][at], f"{self.entry['name']}: sum {at}"
