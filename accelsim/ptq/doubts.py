"""What makes a calibration or a test doubtful, a sentence each: what was found, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator

from accelsim.importers.onnx.file import OnnxModel
from accelsim.ptq.calibrate import Seen
from accelsim.ptq.network.products import products, units_first
from accelsim.ptq.plan import Plan

ENOUGH = 32
"""Inferences below which ranges are those of a few inputs: the white papers take hundreds (Krishnamoorthi 1806.08342, section 3.1.1;
Wu 2004.09602, section 5.1)."""
WANTED = 100
SURE = 30
"""Labels from which on two standard deviations of guessing are allowed for."""


def calibration_doubts(model: OnnxModel, plan: Plan, seen: Seen, count: int) -> Iterator[str]:
    """About ``count`` inferences, the tensors that they made, and the weights that they met."""
    if count < ENOUGH:
        yield (
            f"calibration data hold {count} inference{'s' if count > 1 else ''}, whose ranges others may leave; give {WANTED} or so typical "
            f"ones, {ENOUGH} at least"
        )
    still = [
        name for group in plan.groups for name in group.measured if group.known_range is None and _is_still(seen, name)
    ]
    if still:
        yield (
            f"{_named(still, 'tensor')} never changed over the calibration data, so that no range can be set: give inputs that differ, "
            "or prune what leads there"
        )
    for node in products(model):
        weights = units_first(node, model.constants[node.inputs[1]])
        dead = int((~weights.reshape(len(weights), -1).any(axis=1)).sum())
        if dead:
            yield (
                f"layer {model.layer_name(node)!r}: {dead} of {len(weights)} output channels have no weights but zeros, and are constant; "
                "prune them"
            )


def _is_still(seen: Seen, name: str) -> bool:
    """Whether the tensor holds one number throughout."""
    parts = seen[name]
    return min(float(part.min()) for part in parts) == max(float(part.max()) for part in parts)


def _named(names: list[str], what: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:3]))}{more}"


def labels_doubt(accuracy: float, *, classes: int, count: int) -> str | None:
    """Where the float network meets no more labels than guessing would: two standard deviations above 1 / ``classes`` where there are
    many labels."""
    chance = 1 / classes
    spread = 2 * math.sqrt(chance * (1 - chance) / count) if count >= SURE else 0.0
    if accuracy > chance + spread:
        return None
    return (
        f"the float network meets {accuracy:.1%} of {count} labels, as guessing among {classes} classes would ({chance:.1%}): labels, or the "
        "scale or layout of the inputs, are not those that it was trained with"
    )
