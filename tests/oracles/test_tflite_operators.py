"""Models of one operator with random scales, against four runtimes, element by element."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from tests.oracles import one_op, recurrent_op
from tests.oracles.cases import CASES
from tests.oracles.runtimes import RUNTIMES, as_file, differences

pytestmark = pytest.mark.oracle
SEEDS = 4

TYPES = ("INT8", "INT16")
LITERT = {"litert-reference", "litert-optimized", "litert-xnnpack"}
NARROW_ON_MICRO = (
    "gather",
    "mirror-pad",
    "space-to-batch",
    "batch-to-space",
    "reduce-max",
    "reduce-min",
    "resize-bilinear",
)
"""What tflite-micro does with 8 bits only."""
TABLES = ("exp", "elu", "gelu", "gelu-tanh", "log", "rsqrt", "abs", "minimum", "maximum", "prelu", "squared-difference")
"""Tables of 8-bit codes."""
PLACES = ("arg-max", "arg-min", "arg-max-int64")
"""Indices of 8-bit codes; no runtime has those of 16 bits."""

ABSENT: dict[tuple[str, str], set[str]] = {
    ("conv-no-bias", "INT8"): {"litert-reference", "litert-optimized", "litert-xnnpack"},
    ("conv-no-bias", "INT16"): {"litert-reference", "litert-optimized", "litert-xnnpack"},
    ("relu-n1-to-1", "INT8"): {"tflite-micro"},
    ("relu-n1-to-1", "INT16"): set(RUNTIMES),
    ("quantize-to-int32", "INT8"): {"litert-reference", "litert-optimized", "litert-xnnpack"},
    ("dense-int4", "INT16"): {"tflite-micro"},
    **{(name, kind): {"tflite-micro"} for name in ("exp", "gelu", "gelu-tanh", "log", "tile") for kind in TYPES},
    **{(name, "INT16"): {"tflite-micro"} for name in NARROW_ON_MICRO},
    ("space-to-batch", "INT8"): {"tflite-micro"},  # it pads with what stands in its memory: another result in every run
    ("elu", "INT8"): {"litert-reference"},
    ("depth-to-space", "INT16"): set(RUNTIMES),
    ("space-to-depth", "INT16"): set(RUNTIMES),
    ("arg-max-int64", "INT8"): {"tflite-micro"},
}
"""What a runtime itself refuses, so that there is nothing to compare with."""

REFUSED: dict[tuple[str, str], set[str]] = {
    ("relu6", "INT8"): {"tflite-micro"},
    ("relu6", "INT16"): {"tflite-micro"},
    ("logistic", "INT16"): {"litert-optimized", "litert-xnnpack"},
    ("tanh", "INT16"): {"litert-optimized", "litert-xnnpack"},
    ("hard-swish", "INT16"): set(RUNTIMES),
    ("dense-int4", "INT16"): set(RUNTIMES),
    ("sum-same-scale", "INT8"): {"litert-reference"},
    **{(name, "INT16"): set(RUNTIMES) for name in (*TABLES, *PLACES)},
    ("sum", "INT8"): {"litert-reference"},
    ("sum", "INT16"): {"litert-reference"},
    ("sum-same-scale", "INT16"): {"litert-reference"},
    **{(name, "INT16"): set(RUNTIMES) for name in recurrent_op.CASES if name.startswith("svdf")},
    **{(name, kind): LITERT for name in recurrent_op.CASES if name.startswith("lstm") for kind in TYPES},
    ("svdf-no-bias", "INT8"): {"tflite-micro"},
    ("svdf-8-bit-state", "INT8"): LITERT,
}
"""What the importer always refuses because the rule is not known or makes no sense; see each message."""

SOMETIMES_REFUSED: dict[tuple[str, str], set[str]] = {
    ("transpose-conv", "INT8"): {"litert-optimized", "litert-xnnpack"},
    ("depthwise", "INT8"): {"litert-optimized"},
    ("mean", "INT8"): {"litert-optimized"},
}
"""What it refuses for some shapes or scales."""


def rng_of(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def pairs() -> Iterator[tuple[str, str]]:
    for name in CASES:
        for kind in ("INT8", "INT16"):
            yield name, kind


def compare(name: str, kind: str, arithmetic: str) -> int:
    """Cases that were compared and agreed in every element."""
    compared = 0
    for seed in range(SEEDS):
        rng = rng_of(name, seed)
        case = CASES[name](rng, kind)
        with as_file(case.blob) as path:
            feeds = list(case.feeds(rng))
            try:
                found = differences(path, arithmetic, feeds)
            except UnsupportedOperatorError:
                assert arithmetic in SOMETIMES_REFUSED.get((name, kind), set())
                continue
        assert set(found.values()) == {0}, f"{name} {kind} seed {seed}: {found}"
        compared += 1
    return compared


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize(("name", "kind"), pairs())
def test_operator(name: str, kind: str, arithmetic: str) -> None:
    if arithmetic in ABSENT.get((name, kind), set()):
        pytest.skip(f"the runtime of {arithmetic} has no {kind} {name}")
    if arithmetic in REFUSED.get((name, kind), set()):
        with as_file(CASES[name](rng_of(name, 0), kind).blob) as path, pytest.raises(UnsupportedOperatorError):
            differences(path, arithmetic, [])
        return
    assert compare(name, kind, arithmetic) > 0


POWER_OF_TWO_NOT_COMPARED = {"mean", "mean-same-scale", "sum", "sum-same-scale"}
"""XNNPACK's means of exact ties are not known."""


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize(("name", "kind"), pairs())
def test_operator_with_power_of_two_scales(
    name: str, kind: str, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ratios of scales are powers of two, so exact ties are frequent and every rounding rule shows itself."""
    fixed = ABSENT.get((name, kind), set()) | REFUSED.get((name, kind), set())
    if arithmetic in fixed or (arithmetic == "litert-xnnpack" and name in POWER_OF_TWO_NOT_COMPARED):
        pytest.skip(f"nothing to compare {kind} {name} of {arithmetic} with")
    plain = one_op.act

    def act(
        rng: one_op.Rng, name: str, shape: tuple[int, ...], kind: str, s: float | None = None, z: int | None = None
    ) -> one_op.T:
        rounded = s if s is None or name != "y" or z is not None else float(2.0 ** round(np.log2(s)))
        return plain(rng, name, shape, kind, rounded, z)

    def scale(rng: one_op.Rng, low: float = -9, high: float = 1) -> float:
        return float(2.0 ** rng.integers(int(np.ceil(low)), int(high) + 1))

    monkeypatch.setattr(one_op, "act", act)
    monkeypatch.setattr(one_op, "scale", scale)
    assert compare(name, kind, arithmetic) > 0


@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference"])
@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("exponent", [-15.0, -13.3, -12.0, -11.0, -10.4, -9.0])
def test_16_bit_tables_over_all_codes(name: str, exponent: float, arithmetic: str) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    tensors = [one_op.T("x", x.shape, "INT16", scale=2.0**exponent), one_op.T("y", x.shape, "INT16", scale=1 / 32768)]
    case = one_op.case(tensors, one_op.Op(name, ["x"], ["y"]), ["x"])
    with as_file(case.blob) as path:
        assert differences(path, arithmetic, [{"x": x}]) == {"y": 0}


@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference"])
@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
def test_16_bit_tables_end_where_the_runtimes_products_overflow(name: str, arithmetic: str) -> None:
    codes = np.arange(-(2**15), 2**15).astype(np.int16).reshape(1, 256, 256, 1)

    def differing(s: float) -> int:
        x = one_op.T("x", codes.shape, "INT16", scale=float(np.float32(s)))
        y = one_op.T("y", codes.shape, "INT16", scale=1 / 32768)
        with as_file(one_op.case([x, y], one_op.Op(name, ["x"], ["y"]), ["x"]).blob) as path:
            return differences(path, arithmetic, [{"x": codes}])["y"]

    assert differing(5.333) == 0
    with pytest.raises(
        UnsupportedOperatorError, match=r"input scale 5\.34 leaves the range .* an input scale below 5\.33"
    ):
        differing(5.34)


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "HARD_SWISH"])
def test_8_bit_tables_over_all_codes(name: str, arithmetic: str) -> None:
    x = np.arange(-128, 128).astype(np.int8)
    rng = np.random.default_rng(2)
    for exponent in (*range(-9, 1), *rng.uniform(-9, 0, 15)):
        s = float(np.float32(2.0**exponent))
        scale, zero = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(name, (s, int(rng.integers(-128, 128))))
        x_tensor = one_op.T("x", x.shape, "INT8", scale=s, zero=int(rng.integers(-128, 128)))
        y_tensor = one_op.T("y", x.shape, "INT8", scale=scale, zero=zero)
        case = one_op.case([x_tensor, y_tensor], one_op.Op(name, ["x"], ["y"]), ["x"])
        with as_file(case.blob) as path:
            assert differences(path, arithmetic, [{"x": x}]) == {"y": 0}


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_resizing_by_ratios_that_round(kind: str, arithmetic: str) -> None:
    """30 to 58 and 21 to 5 are sizes whose float32 ratio and 16-bit ratio choose different rows and columns."""
    for align, half in ((False, False), (True, False), (False, True)):
        for image, size in (((30, 21), (58, 5)), ((7, 13), (16, 29)), ((1, 37), (1, 89))):
            x = one_op.T("x", (1, *image, 1), kind, scale=0.5)
            y = one_op.T("y", (1, *size, 1), kind, scale=0.5)
            names, options = ["x", "s"], {"AlignCorners": align, "HalfPixelCenters": half}
            op = one_op.Op("RESIZE_NEAREST_NEIGHBOR", names, ["y"], options)
            case = one_op.case([x, one_op.T("s", (2,), "INT32", data=size), y], op, ["x"])
            with as_file(case.blob) as path:
                assert differences(path, arithmetic, list(case.feeds(rng_of(kind, 0)))) == {"y": 0}
