"""Arithmetics: the tables measured against the runtimes, and overrides of them."""

from __future__ import annotations

import pickle

import pytest

from accelsim.arch import ARITHMETICS, Arithmetic, arithmetic_named
from accelsim.arch.arithmetic import OPERATORS, SPECIAL_SCHEMES, checked_scheme, usable_schemes
from accelsim.errors import ConfigError
from accelsim.numerics import SCHEMES

MICRO = ARITHMETICS["tflite-micro"]
RUNTIMES = ["litert-reference", "tflite-micro", "litert-optimized", "litert-xnnpack", "onnxruntime", "finn"]
CHIPS = ["tosa", "nvdla", "gemmini", "ethos-u-natural"]
NAMES = RUNTIMES + CHIPS
MACS = ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV"]
SPECIAL = {
    "tflite-micro": {},
    "litert-reference": {"FULLY_CONNECTED": "float64_half_away"},
    "litert-optimized": dict.fromkeys(["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "QUANTIZE"], "half_up_twice"),
    "litert-xnnpack": dict.fromkeys(
        ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV", "MUL"],
        "float32_half_even",
    )
    | {"MEAN": "xnnpack_mean"}
    | dict.fromkeys(["ADD", "SUB"], "xnnpack_add")
    | dict.fromkeys(["QUANTIZE", "LEAKY_RELU"], "xnnpack_8bit_fraction"),
    "onnxruntime": dict.fromkeys(
        ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV", "MEAN"],
        "float32_half_even",
    )
    | dict.fromkeys(["ADD", "SUB", "MUL", "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU"], "onnxruntime_float32"),
    "tosa": dict.fromkeys(OPERATORS, "single"),
    "nvdla": dict.fromkeys(MACS, "nvdla_cvt"),
    "gemmini": dict.fromkeys(MACS, "float32_half_even"),
    "ethos-u-natural": dict.fromkeys(MACS, "single"),
    "finn": dict.fromkeys(MACS, "finn_thresholds")
    | {"MEAN": "float32_half_even"}
    | dict.fromkeys(["ADD", "SUB", "MUL", "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU"], "onnxruntime_float32"),
}


def test_names() -> None:
    assert list(ARITHMETICS) == NAMES
    for name, arithmetic in ARITHMETICS.items():
        assert (arithmetic.name, arithmetic.base) == (name, name)
        assert arithmetic.description
        assert arithmetic.source


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_int8_schemes(name: str, operator: str) -> None:
    assert ARITHMETICS[name].scheme(operator) == SPECIAL[name].get(operator, "tflite_double")


@pytest.mark.parametrize("name", [name for name in RUNTIMES if name not in ("onnxruntime", "finn")])
@pytest.mark.parametrize("operator", OPERATORS)
def test_int16_schemes(name: str, operator: str) -> None:
    """LiteRT leaves 16-bit activations to its reference code, whose dense layers requantize in double precision."""
    dense = operator == "FULLY_CONNECTED" and name != "tflite-micro"
    assert ARITHMETICS[name].scheme(operator, activation_bits=16) == ("float64_half_away" if dense else "tflite_double")


@pytest.mark.parametrize("name", NAMES)
def test_every_scheme_exists_and_its_operator_may_use_it(name: str) -> None:
    for table in (ARITHMETICS[name].schemes, ARITHMETICS[name].schemes_int16):
        for operator, scheme in table.items():
            assert scheme in SCHEMES or scheme in SPECIAL_SCHEMES
            assert checked_scheme(operator, scheme) == scheme


@pytest.mark.parametrize("operator", OPERATORS)
def test_usable_schemes_are_accepted_and_no_others(operator: str) -> None:
    usable = usable_schemes(operator)
    assert len(set(usable)) == len(usable)
    for scheme in usable:
        assert MICRO.with_overrides({operator: scheme}).scheme(operator) == scheme
    for scheme in {*SCHEMES, *SPECIAL_SCHEMES} - set(usable):
        with pytest.raises(ConfigError, match=rf"^{operator} cannot use scheme '{scheme}'; expected one of"):
            MICRO.with_overrides({operator: scheme})


def test_overrides_hold_at_every_width_and_show_in_the_name() -> None:
    changed = ARITHMETICS["litert-reference"].with_overrides({"FULLY_CONNECTED": "single", "ADD": "half_up_twice"})
    assert changed.name == "litert-reference+ADD=half_up_twice+FULLY_CONNECTED=single"
    assert changed.base == "litert-reference"
    assert changed.overridden == {"ADD", "FULLY_CONNECTED"}
    for bits in (8, 16):
        assert changed.scheme("FULLY_CONNECTED", activation_bits=bits) == "single"
        assert changed.scheme("CONV_2D", activation_bits=bits) == "tflite_double"
    assert ARITHMETICS["litert-reference"].scheme("FULLY_CONNECTED") == "float64_half_away"


def test_the_order_of_overrides_does_not_matter() -> None:
    pairs = [("ADD", "single"), ("MUL", "shift_floor")]
    assert MICRO.with_overrides(dict(pairs)) == MICRO.with_overrides(dict(reversed(pairs)))


def test_no_overrides_no_change() -> None:
    assert MICRO.with_overrides({}) is MICRO


def test_aliases_become_full_names() -> None:
    assert MICRO.with_overrides({"CONV_2D": "tflite_single"}).scheme("CONV_2D") == "single"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"CONV2D": "single"},
            (
                f"operator 'CONV2D' has no requantization scheme; expected one of {', '.join(OPERATORS)}; did you mean"
                " 'CONV_2D'?"
            ),
        ),
        (
            {"add": "single"},
            f"operator 'add' has no requantization scheme; expected one of {', '.join(OPERATORS)}; did you mean 'ADD'?",
        ),
        (
            {"SOFTMAX": "single"},
            f"operator 'SOFTMAX' has no requantization scheme; expected one of {', '.join(OPERATORS)}",
        ),
        (
            {"MEAN": "tflite_dubble"},
            (
                "MEAN has unknown scheme 'tflite_dubble'; expected one of tflite_double, single, half_up_twice,"
                " tflite_int16, float32_half_even, xnnpack_mean; did you mean 'tflite_double'?"
            ),
        ),
        (
            {"MUL": "xnnpack_add"},
            f"MUL cannot use scheme 'xnnpack_add'; expected one of {', '.join(SCHEMES)}, onnxruntime_float32",
        ),
    ],
)
def test_wrong_overrides(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MICRO.with_overrides(overrides)
    assert str(caught.value) == message
    assert caught.value.data


def test_unknown_operator_has_no_scheme() -> None:
    with pytest.raises(ConfigError, match=r"^operator 'SOFTMAX' has no requantization scheme"):
        MICRO.scheme("SOFTMAX")


@pytest.mark.parametrize("name", ["tflite_micro", "TFLite-Micro", "micro", "", "zzz"])
def test_unknown_arithmetic(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arithmetic_named(name)
    assert str(caught.value).startswith(f"arithmetic {name!r}: expected one of {', '.join(NAMES)}")
    assert ("did you mean 'tflite-micro'?" in str(caught.value)) == ("micro" in name.lower())


def test_an_arithmetic_is_a_value() -> None:
    changed = MICRO.with_overrides({"ADD": "single"})
    assert pickle.loads(pickle.dumps(changed)) == changed
    with pytest.raises(TypeError):
        changed.schemes["ADD"] = "x"  # type: ignore[index]
    with pytest.raises(AttributeError):
        changed.name = "x"  # type: ignore[misc]
    table = {"ADD": "single"}
    own = Arithmetic(name="n", description="d", source="s", schemes=table)
    table["ADD"] = "x"
    assert own.scheme("ADD") == "single"
