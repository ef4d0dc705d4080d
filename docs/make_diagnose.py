"""Write the tables and pictures of docs/diagnose.md: what harms two networks, what helps, and the fewest layers to keep.

python docs/make_diagnose.py           # takes about three minutes; needs onnxruntime, scikit-learn
                                       # and $ACCELSIM_SHARED (for the second network, whose tables else stay)
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import matplotlib as mpl  # noqa: E402
from pages import replaced  # noqa: E402

from accelsim.importers import resolve_model  # noqa: E402
from accelsim.ptq import Settings  # noqa: E402
from accelsim.ptq.diagnose import Diagnosis, Tried, diagnose  # noqa: E402
from accelsim.ptq.sensitivity import LayerSensitivity, layer_sensitivity, parse_loss, partial_quantization  # noqa: E402
from accelsim.ptq.study import Effect, Study, study_of  # noqa: E402
from accelsim.report.pictures import diagnosis_plots  # noqa: E402
from accelsim.report.ptq import layer_names  # noqa: E402
from accelsim.simulation import read_inputs  # noqa: E402
from tests.ptq.test_quantize_tflite import samples  # noqa: E402
from tests.shared_models import SHARED  # noqa: E402

PAGE, PICTURES = Path(__file__).with_name("diagnose.md"), Path(__file__).with_name("diagnose")
SHOWN = ("quantizers", "weights")
NETWORK, DEPTHWISE = "digits_float", "vww_mobilenetv1_fp32"
CALIBRATION, IMAGES = 40, 100
"""Of the second network's images."""
LIMITS = (("0.5%", 4, 4), ("2%", 4, 4), ("25dB", 4, 8), ("35dB", 8, 8))
"""Losses that are allowed, and the bits of weights and activations elsewhere."""


def digits() -> tuple[Path, dict[str, Any]]:
    """The packaged network, with its calibration and test data."""
    path = resolve_model(NETWORK)
    inputs, labels = read_inputs(path.with_name(f"{NETWORK}_test.npz"))
    calibration = read_inputs(path.with_name(f"{NETWORK}_calib.npz"))[0]
    return path, {"calibration": calibration, "inputs": inputs, "labels": labels}


def depthwise() -> tuple[Path, dict[str, Any]]:
    """MobileNetV1 of mlcommons/tiny, with squares of photographs."""
    x = samples(DEPTHWISE, CALIBRATION + IMAGES)
    data = {"calibration": {"input": x[:CALIBRATION]}, "inputs": {"input": x[CALIBRATION:]}, "labels": None}
    return SHARED / "models" / f"{DEPTHWISE}.tflite", data


def table(titles: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def figures(effect: Effect) -> list[str]:
    """SQNR of the output, and accuracy where there is one."""
    accuracy = [] if effect.accuracy is None else [f"{effect.accuracy:.2%}"]
    return [f"{effect.sqnr_db:.1f}", *accuracy]


def remedies(found: Diagnosis) -> str:
    """Each alone, and what those that were chosen gain on top of each other."""
    names = layer_names(found.network)
    chosen = {each.remedy: each for each in found.chosen}
    more = [] if found.check.accuracy is None else ["accuracy alone"]

    def row(each: Tried) -> list[str]:
        on_top = chosen.get(each.remedy)
        added = "" if on_top is None else f"{on_top.gain_db:+.1f}, to {on_top.effect.sqnr_db:.1f}"
        text = each.remedy.text({name: f"`{short}`" for name, short in names.items()})
        return [text, each.remedy.aim, f"{each.gain_db:+.1f}", *figures(each.effect)[1:], added]

    titles = ["remedy", "against", "gain alone, dB", *more, "on top of those before, dB"]
    return table(titles, [row(each) for each in found.tried])


def stages(found: Diagnosis) -> str:
    """Weights or activations."""
    more = [] if found.check.accuracy is None else ["accuracy"]
    return table(["quantized", "SQNR of the output, dB", *more], [[k, *figures(e)] for k, e in found.stages.items()])


def cell(each: Any) -> str:
    """Accuracy and SQNR."""
    return "" if math.isnan(each["sqnr_db"]) else f"{each['accuracy']:.1%}, {each['sqnr_db']:.1f} dB"


def sensitivity(found: LayerSensitivity) -> str:
    """Layers down, widths across."""
    rows = [[f"`{layer}`", *map(cell, found.table[i, 0])] for i, layer in enumerate(found.layers)]
    return table(["layer", *(f"{bits} bits" for bits in found.widths)], rows)


def digits_study(**settings: Any) -> Study:
    """The packaged network, calibrated."""
    path, data = digits()
    return study_of(path, data.pop("calibration"), settings=Settings(**settings), **data)


def kept_rows(path: Path, data: dict[str, Any], limits: tuple[tuple[str, int, int], ...]) -> list[list[str]]:
    """What partial quantization keeps."""
    rows = []
    for limit, weights, acts in limits:
        own = dict(data)
        settings = Settings(weights=weights, acts=acts, per_channel=True)
        study = study_of(path, own.pop("calibration"), settings=settings, **own)
        loss = parse_loss(limit)
        found = partial_quantization(
            study.probe, study.inputs, limit=loss, labels=study.labels, evaluator=study.evaluator
        )  # fmt: skip
        say = [loss.shown(effect, study.reference) for effect in (found.before, found.verified)]
        kept = f"{len(found.kept)} of {len(found.order)}"
        rows.append([f"`{path.stem}`", f"W{weights}A{acts}", str(loss), say[0], kept, say[1]])
    return rows


KEPT = ["network", "others", "most loss", "none kept", "layers at 16 bits", "the file then"]


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    path, data = digits()
    found = diagnose(path, settings=Settings(weights=4, acts=4), **data)
    text = replaced(text, "stages", stages(found))
    text = replaced(text, "remedies", remedies(found))
    study = digits_study()
    text = replaced(text, "sensitivity", sensitivity(layer_sensitivity(study.probe, labels=study.labels)))
    rows = kept_rows(path, data, LIMITS[:2])
    PICTURES.mkdir(exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "accelsim"}):
        for name in SHOWN:
            diagnosis_plots(found)[name]().savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
    if (SHARED / "models" / f"{DEPTHWISE}.tflite").is_file():
        path, data = depthwise()
        text = replaced(text, "depthwise", remedies(diagnose(path, settings=Settings(), **data)))
        text = replaced(text, "kept", table(KEPT, rows + kept_rows(path, data, LIMITS[2:])))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
