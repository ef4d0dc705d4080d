"""Write the tables of docs/pipeline.md: Nagel's order of roundings, what each step gains, and the comparison with AIMET.

python docs/make_pipeline.py           # the first two; some minutes; needs $ACCELSIM_SHARED, onnxruntime, scikit-learn
python docs/make_pipeline.py --aimet   # the third as well; needs $ACCELSIM_AIMET_PYTHON; half an hour
python docs/make_pipeline.py --equalization   # the fourth alone; needs $ACCELSIM_AIMET_PYTHON; a minute
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.ptq import Settings  # noqa: E402
from accelsim.ptq.pipeline import AdaRound, Choices, Piped, run_pipeline  # noqa: E402
from benchmarks import equalization  # noqa: E402
from benchmarks.ptq import NETWORKS, Case, cases, table  # noqa: E402
from benchmarks.ptq import row as beside_aimet  # noqa: E402

PAGE = Path(__file__).with_name("pipeline.md")
NETWORK = "vww_mobilenetv1_fp32"
BITS = (8, 4)
ITERATIONS = 300
BESIDE_AIMET = 100
"""Iterations a layer on both sides: AIMET takes some minutes of every hundred on the larger network."""
NEAREST = ("adaround", "bias-correction", "cross-entropy")
ROUNDINGS: dict[str, tuple[str, ...]] = {"nearest": NEAREST, "bias correction": ("adaround",), "AdaRound": ()}


def piped(bits: int, *, per_channel: bool, without: tuple[str, ...], test: bool = True) -> Piped:
    """``--pipeline nagel`` without those steps."""
    case = Case(NETWORK, bits, per_channel)
    calibration, images = case.data()
    return run_pipeline(
        case.path,
        {"input": calibration},
        name="nagel",
        settings=Settings(weights=bits, per_channel=per_channel),
        choices=Choices(without_steps=without, adaround=AdaRound(iterations=ITERATIONS)),
        test=({"input": images}, None) if test else None,
    )


def last(made: Piped) -> float:
    """The score in the end."""
    found = made.rows[-1].score.sqnr_db
    assert found is not None
    return found


def order_row(bits: int) -> list[float]:
    """Each rounding, per tensor and per channel."""
    return [
        last(piped(bits, per_channel=channels, without=steps))
        for channels in (False, True)
        for steps in ROUNDINGS.values()
    ]


def order_table(rows: dict[int, list[float]]) -> str:
    """Markdown."""
    titles = [f"{scales}, {name}" for scales in ("per tensor", "per channel") for name in ROUNDINGS]
    lines = [f"| weights | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    lines += [f"| {bits} | {' | '.join(f'{value:.1f}' for value in row)} |" for bits, row in rows.items()]
    return "\n".join(lines) + "\n"


def steps_table(made: Piped) -> str:
    """Markdown."""
    lines = ["| step | SQNR dB | gain dB | what it did |", "|---|---|---|---|"]
    for row in made.rows:
        gain = "" if row.gain_db is None else f"{row.gain_db:+.1f}"
        did = re.sub(r"the range of .*", "the range of the last layer", row.did)
        lines.append(f"| `{row.step}` | {row.score.sqnr_db:.1f} | {gain} | {did} |")
    return "\n".join(lines) + "\n"


def replaced(text: str, name: str, made: str) -> str:
    """The page with another table of that name."""
    return re.sub(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", lambda _: made, text, flags=re.DOTALL)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    if "--equalization" in sys.argv:
        PAGE.write_text(replaced(text, "equalized", equalization.table(equalization.measure())), encoding="utf-8")
        return
    text = replaced(text, "order", order_table({bits: order_row(bits) for bits in BITS}))
    text = replaced(text, "steps", steps_table(piped(4, per_channel=False, without=())))
    if "--aimet" in sys.argv:
        rows = {case: beside_aimet(case, BESIDE_AIMET) for case in cases(list(NETWORKS), [4])}
        text = replaced(text, "aimet", table(rows))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
