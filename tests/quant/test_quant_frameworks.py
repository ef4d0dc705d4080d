"""Fake quantization against the frameworks themselves: torch, Brevitas, qonnx and AIMET (other environments), ONNX, ORT, LiteRT."""

from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from accelsim.errors import ConfigError, InputError
from accelsim.numerics import INT8, IntFormat, Rounding, round_divide
from accelsim.quant import FAKE_QUANT_RULES, codes_as, dequantize, fake_quant_as
from tests.importers.flat import Op, T, tflite_bytes

PYTHON = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
AIMET = os.environ.get("ACCELSIM_AIMET_PYTHON", "")
ROWS, VALUES = 8, 2048
Case = dict[str, Any]


def case(seed: int, bits: int, signed: bool, kind: type, exact: bool) -> Case:
    """Rows of normal numbers and of exact ties, of ten times what the codes cover."""
    rng = np.random.default_rng(seed)
    fmt = IntFormat(bits, signed=signed)
    scale = np.exp2(rng.integers(-6, 3, ROWS)) if exact else np.exp2(rng.uniform(-6, 3, ROWS))
    scale = scale.astype(np.float32).astype(np.float64)
    zero = rng.integers(fmt.min, fmt.max + 1, ROWS)
    steps = rng.uniform(1.5 * fmt.min - 3, 1.5 * fmt.max + 3, (ROWS, VALUES)) - zero[:, None]
    steps[:, ::2] = np.floor(steps[:, ::2]) + 0.5
    steps[:, ::16] *= 10
    return {"x": (steps * scale[:, None]).astype(kind), "scale": scale, "zero": zero, "bits": bits, "signed": signed}


CASES = [
    case(1000 * bits + 10 * signed + exact, bits, signed, kind, exact)
    for bits in (1, 2, 3, 4, 5, 6, 7, 8, 12, 16)
    for signed in (False, True)
    for kind in (np.float32, np.float64)
    for exact in (False, True)
]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[Any]]:
    """What the frameworks of the other environment make of every case."""
    if not Path(PYTHON).is_file():
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch, brevitas and qonnx")
    return made_by(PYTHON, "run_frameworks.py", tmp_path_factory.mktemp("frameworks"))


def made_by(python: str, script: str, folder: Path) -> dict[str, NDArray[Any]]:
    """What ``script`` makes of every case."""
    np.savez(folder / "cases.npz", **{f"{name}_{i}": v for i, one in enumerate(CASES) for name, v in one.items()})
    command = [python, str(Path(__file__).with_name(script)), str(folder / "cases.npz")]
    done = subprocess.run([*command, str(folder / "out.npz")], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "out.npz") as held:
        return {name: held[name] for name in held.files}


def columns(one: Case) -> dict[str, Any]:
    fmt = IntFormat(one["bits"], signed=one["signed"])
    return {"scale": one["scale"][:, None], "zero_point": one["zero"][:, None], "fmt": fmt}


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "framework"),
    [("pytorch", "pytorch"), ("pytorch_channels", "pytorch-per-channel"), ("brevitas", "qonnx"), ("qonnx", "qonnx")],
)
def test_no_number_differs_from_the_framework(theirs: dict[str, Any], name: str, framework: str) -> None:
    wrong = compared = skipped = 0
    for i, one in enumerate(CASES):
        if name == "qonnx" and one["bits"] == 1 and one["signed"]:
            skipped += 1  # qonnx's executor reads one signed bit as -1 and +1
            continue
        ours = fake_quant_as(one["x"], framework=framework, dtype=one["x"].dtype, **columns(one))
        wrong += int((ours != theirs[f"{name}_{i}"]).sum())
        compared += ours.size
    assert (wrong, compared) == (0, (len(CASES) - skipped) * ROWS * VALUES)
    assert skipped <= 4


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["tensor", "channels"])
def test_no_number_differs_from_aimet(name: str, aimet: dict[str, Any]) -> None:
    """aimet-onnx's C++ quantizer, which computes in float32 whatever it is given."""
    wrong = 0
    for i, one in enumerate(CASES):
        ours = fake_quant_as(one["x"].astype(np.float32), framework="aimet-onnx", **columns(one))
        wrong += int((ours != aimet[f"{name}_{i}"]).sum())
    assert (wrong, len(CASES) * ROWS * VALUES) == (0, 1_310_720)


@pytest.fixture(scope="module")
def aimet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[Any]]:
    """What AIMET makes of every case."""
    if not Path(AIMET).is_file():
        pytest.skip("ACCELSIM_AIMET_PYTHON names no Python with aimet-onnx")
    return made_by(AIMET, "run_aimet.py", tmp_path_factory.mktemp("aimet"))


@pytest.mark.oracle
def test_no_code_differs_from_torch_quantize(theirs: dict[str, Any]) -> None:
    found = [int(name.removeprefix("pytorch-quantize_")) for name in theirs if name.startswith("pytorch-quantize_")]
    assert len(found) == 4
    for i in found:
        ours = codes_as(CASES[i]["x"], framework="pytorch", **columns(CASES[i]))
        assert int((ours != theirs[f"pytorch-quantize_{i}"]).sum()) == 0


def onnx_model(one: Case) -> onnx.ModelProto:
    """QuantizeLinear along axis 0."""
    kind = getattr(TensorProto, str(IntFormat(one["bits"], signed=one["signed"])).upper())
    constants = [
        helper.make_tensor("s", TensorProto.FLOAT, (ROWS,), one["scale"].tolist()),
        helper.make_tensor("z", kind, (ROWS,), one["zero"].tolist()),
    ]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0)]
    nodes.append(helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=0))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (ROWS, VALUES)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


ONNX_CASES = [one for one in CASES if one["bits"] in (4, 8, 16) and one["x"].dtype == np.float32]


@pytest.mark.oracle
@pytest.mark.parametrize("one", ONNX_CASES, ids=lambda one: f"{'u' * (not one['signed'])}int{one['bits']}")
def test_no_number_differs_from_onnx(one: Case) -> None:
    model = onnx_model(one)
    ours = fake_quant_as(one["x"], framework="onnx", **columns(one))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert int((ours != session.run(["y"], {"x": one["x"]})[0]).sum()) == 0
    assert int((ours != ReferenceEvaluator(model).run(None, {"x": one["x"]})[0]).sum()) == 0


rows = st.lists(st.floats(-(2.0**20), 2.0**20, width=32), min_size=1, max_size=20)


@settings(deadline=None)
@given(rows, st.floats(2.0**-10, 2.0**10, width=32), st.integers(1, 16), st.booleans(), st.data())
def test_codes_follow_the_rule_in_exact_numbers(values, scale, bits, signed, data):
    """In powers of two no operation but the rounding is inexact."""
    fmt = IntFormat(bits, signed=signed)
    zero = data.draw(st.integers(fmt.min, fmt.max))
    scale = 2.0 ** np.floor(np.log2(scale))
    for name, rule in FAKE_QUANT_RULES.items():
        codes = codes_as(values, framework=name, scale=scale, zero_point=zero, fmt=fmt, dtype=np.float64)
        for x, code in zip(values, codes, strict=True):
            exact = Fraction(x) / Fraction(scale)
            if rule.zero_point_first:
                expected = round_divide(*(exact + zero).as_integer_ratio(), rule.rounding)
            else:
                expected = round_divide(*exact.as_integer_ratio(), rule.rounding) + zero
            assert code == min(max(expected, fmt.min), fmt.max)


def test_frameworks_part_at_ties_with_an_odd_zero_point():
    x = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])
    made = {
        name: codes_as(x, framework=name, scale=1.0, zero_point=1, fmt=INT8).tolist()
        for name in ("pytorch", "onnx", "tflite", "qonnx", "aimet-onnx")
    }
    assert made == {
        "pytorch": [-1, 1, 1, 3, 3], "onnx": [-1, 1, 1, 3, 3], "tflite": [-1, 0, 2, 3, 4], "qonnx": [0, 0, 2, 2, 4],
        "aimet-onnx": [0, 1, 2, 3, 4],
    }  # fmt: skip


def test_an_inverse_is_not_a_division():
    scale = np.linspace(0.1, 0.2, 50, dtype=np.float32)[:, None]
    x = np.arange(1, 400, dtype=np.float32) / 2 * scale
    known = {"scale": scale, "zero_point": 0, "fmt": IntFormat(16)}
    inverse, divided = (codes_as(x, framework=f, **known) for f in ("pytorch", "onnx"))
    assert 0 < int((inverse != divided).sum()) < x.size / 4
    assert np.abs(inverse - divided).max() == 1


def test_tflite_is_the_rule_of_quantize():
    rule = FAKE_QUANT_RULES["tflite"]
    assert (rule.rounding, rule.by_inverse, rule.zero_point_first) == (Rounding.HALF_AWAY, False, False)


@settings(deadline=None)
@given(rows, st.sampled_from(sorted(FAKE_QUANT_RULES)), st.integers(2, 16))
def test_a_code_survives_once_more(values, framework, bits):
    known = {"scale": 0.0371, "zero_point": 1, "fmt": IntFormat(bits)}
    codes = codes_as(values, framework=framework, **known)
    real = dequantize(codes, scale=known["scale"], zero_point=1)
    assert codes_as(real, framework=framework, **known).tolist() == codes.tolist()
    assert fake_quant_as(values, framework=framework, **known).tolist() == real.tolist()


def test_misuse_is_refused():
    good: Case = {"framework": "onnx", "scale": 1.0, "zero_point": 0, "fmt": INT8}
    for change, error, text in (
        ({"framework": "keras"}, ConfigError, "expected one of pytorch"),
        ({"scale": 0.0}, ConfigError, "positive finite"),
        ({"zero_point": 200}, ConfigError, "zero point"),
        ({"dtype": np.float16}, InputError, "float32 or float64"),
    ):
        with pytest.raises(error, match=text):
            codes_as([1.0], **{**good, **change})
    with pytest.raises(InputError, match="NaN"):
        codes_as([np.nan], **good)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
def test_no_number_differs_from_litert(kind: str) -> None:
    """QUANTIZE and DEQUANTIZE of float32 by the reference kernels; the optimized ones are off by the last bit of float32."""
    module = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    fmt = IntFormat.parse(kind.lower())
    for exact in (False, True):
        one = case(7 + exact, fmt.bits, fmt.signed, np.float32, exact)
        zero = 0 if fmt.bits == 16 else int(one["zero"][0])
        known = {"scale": float(one["scale"][0]), "zero_point": zero, "fmt": fmt}
        x = one["x"][0] + np.float32(known["scale"] * (int(one["zero"][0]) - zero))
        tensors = [
            T("x", (VALUES,), "FLOAT32"), T("q", (VALUES,), kind, scale=known["scale"], zero=zero), T("y", (VALUES,), "FLOAT32"),
        ]  # fmt: skip
        ops = [Op("QUANTIZE", ["x"], ["q"]), Op("DEQUANTIZE", ["q"], ["y"])]
        interpreter = module.Interpreter(
            model_content=tflite_bytes(tensors, ops, ["x"], ["y"]),
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        theirs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert int((fake_quant_as(x, framework="tflite", **known) != theirs).sum()) == 0
