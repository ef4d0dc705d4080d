"""Random lists of stages that can be, with parameters of a layer for them."""

from __future__ import annotations

import numpy as np

from accelsim.errors import AccelsimError
from accelsim.numerics import Kind, Operand, Requant, Rounding, StagedScheme, stage_list, staged_scheme

ENTRIES = 256
Body = dict[str, object]


def _body(kind: Kind, rng: np.random.Generator, free: list[Operand]) -> object:
    """One stage's entries; what it takes from the layer is taken out of ``free``."""

    def take(*names: Operand) -> Operand | None:
        left = [name for name in names if name in free]
        if not left or rng.random() < 0.3:
            return None
        free.remove(left[0])
        return left[0]

    signed = bool(rng.random() < 0.7)
    match kind:
        case Kind.ADD | Kind.OFFSET:
            name = take(Operand.BIAS, Operand.ZERO_POINT) if kind is Kind.ADD else take(Operand.ZERO_POINT)
            if name is None:
                return int(rng.integers(-(2**20), 2**20))
            left = {"left": int(rng.integers(0, 12))} if name is Operand.BIAS else {}
            return {"value": name.value, "bits": int(rng.integers(9, 25)), **left}
        case Kind.MULTIPLY:
            name = take(Operand.MULTIPLIER)
            if name is None:
                return int(rng.integers(1, 100))
            return {"by": name.value, "bits": int(rng.integers(4, 20)), "signed": signed}
        case Kind.SHIFT:
            name = take(Operand.SHIFT, Operand.RIGHT_SHIFT)
            rounding = str(rng.choice(list(Rounding)))
            if name is None:
                return {"by": int(rng.integers(0, 20)), "rounding": rounding}
            return {"by": name.value, "rounding": rounding, "max": int(rng.choice([7, 31, 62, 63]))}
        case Kind.LEFT:
            name = take(Operand.LEFT_SHIFT)
            return int(rng.integers(0, 6)) if name is None else {"by": name.value, "max": int(rng.integers(1, 9))}
        case Kind.WRAP | Kind.SATURATE:
            return {"bits": int(rng.integers(4, 41)), "signed": signed}
        case Kind.CLIP:
            low, high = sorted(int(v) for v in rng.integers(-(2**15), 2**15, 2))
            return {"min": low, "max": high} if signed else {"max": high}
        case Kind.TABLE:
            return rng.integers(-128, 128, ENTRIES).tolist()


def drawn_scheme(rng: np.random.Generator, most: int = 9) -> StagedScheme:
    """A list of up to ``most`` stages that is possible; others are drawn again."""
    while True:
        parted = bool(rng.random() < 0.5)
        free = [Operand.BIAS, Operand.ZERO_POINT, Operand.MULTIPLIER]
        free += [Operand.LEFT_SHIFT, Operand.RIGHT_SHIFT] if parted else [Operand.SHIFT]
        kinds = [Kind(str(k)) for k in rng.choice(list(Kind), int(rng.integers(1, most + 1)))]
        if rng.random() < 0.3:
            kinds = [k for k in kinds if k is not Kind.TABLE] + [Kind.SATURATE, Kind.TABLE]
        data: list[Body] = [{kind.value: _body(kind, rng, free)} for kind in kinds]
        if kinds[-2:] == [Kind.SATURATE, Kind.TABLE]:
            data[-2] = {"saturate": {"bits": 8, "signed": bool(rng.random() < 0.5)}}
        try:
            return staged_scheme(stage_list(data), int(rng.integers(8, 49)))
        except AccelsimError:
            continue


def drawn_requant(rng: np.random.Generator, rule: StagedScheme, channels: int = 1) -> Requant:
    """Any parameters that the hardware's registers hold, their ends among them."""
    low, high = rule.multipliers
    columns = np.zeros((channels, 4), dtype=np.int64)
    columns[:, 0] = [int(rng.choice([low, high, int(rng.integers(low, high + 1))])) for _ in range(channels)]
    for stage in rule.stages.stages:
        if stage.takes(Operand.BIAS, Operand.ZERO_POINT):
            column = 1 if stage.operand is Operand.BIAS else 2
            ends = stage.format.min, stage.format.max, int(rng.integers(stage.format.min, stage.format.max + 1))
            columns[:, column] = [int(rng.choice(ends)) << stage.left for _ in range(channels)]
    shift = rng.integers(rule.exponents[0], rule.exponents[1] + 1, channels).astype(np.int32)
    zero = int(rng.integers(-128, 128)) if rule.named(Operand.ZERO_POINT) is not None else 0
    bits = int(rng.choice([8, 16, 32]))
    return Requant(rule.name, columns, shift, zero, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def accumulators(rng: np.random.Generator, rule: StagedScheme, count: int) -> np.ndarray:
    """Edges of the width, small values and all magnitudes."""
    half = 1 << (rule.wide - 1)
    edges = [-half, -half + 1, -2, -1, 0, 1, 2, half - 2, half - 1]
    sizes = rng.integers(0, rule.wide, count - len(edges)).tolist()
    return np.array([*edges, *(int(rng.integers(-(1 << s), 1 << s)) for s in sizes)], dtype=np.int64).clip(
        -half, half - 1
    )
