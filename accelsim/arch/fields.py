"""Types of a machine's parameters: their bounds, the unit strings they accept, their form in the JSON schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from accelsim.arch.arithmetic import ARITHMETICS, OPERATORS, arithmetic_named, checked_scheme
from accelsim.errors import ConfigError, QuantityError
from accelsim.numerics import MOST_STAGES, Kind, StageList, stage_list
from accelsim.units import (
    BANDWIDTH,
    BYTES,
    HERTZ,
    NANOSECONDS,
    PICOJOULES,
    Quantity,
    parse_bandwidth,
    parse_bytes,
    parse_hertz,
    parse_nanoseconds,
    parse_picojoules,
)

MAX_SIDE = 65_536  # rows, columns, lanes: 256 times the largest published array
MAX_MEMORY = 2**40  # bytes of a buffer, words of the accumulators
MIN_CLOCK_HZ, MAX_CLOCK_HZ = 10**3, 10**11
MAX_BANDWIDTH = 10**15  # bytes per second
MAX_LATENCY_NS = 1e9  # one second
MAX_BYTES_PER_CYCLE = 2**20
MAX_BURST = 65_536  # bytes: eight times the longest row of a channel
MAX_SETUP_CYCLES = 10**9
MAX_STAGES = 64
MAX_CORES = 64  # each core adds eight queues to the clocks of the checker
MAX_PRODUCTS_PER_ADD = 65_536  # inputs of an adder tree: as many as MAX_SIDE rows
WHOLE_TILE = "tile"
MAX_PATH = 4096  # characters; PATH_MAX of Linux
AUTO = "auto"
MAX_CYCLES_PER_BYTE = 10**6  # of the DRAM; keeps cycle counts of whole networks within 64 bits


class FrozenDict(dict[str, str]):
    """A dictionary that cannot be changed, so that what holds it is a value."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a machine does not change; make another with arch.with_({path: value})")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, str]]]:
        return FrozenDict, (dict(self),)


def _quantity_schema(quantity: Quantity, low: float, high: float, kind: str, *words: str) -> WithJsonSchema:
    units = "|".join(quantity.units)
    text = {"type": "string", "pattern": rf"^\s*\+?[0-9._eE+-]+\s*({units})?\s*$", "examples": list(quantity.examples)}
    number = {"type": kind, "minimum": low, "maximum": high, "description": f"in {quantity.base}"}
    return WithJsonSchema({"anyOf": [number, text, *({"const": word} for word in words)]})


def _whole(low: int, high: int) -> Any:
    return Field(ge=low, le=high)


def _checked(check: Callable[[Any], Any]) -> AfterValidator:
    """``check`` with its ConfigError as the ValueError that pydantic collects."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    return AfterValidator(validate)


def _check_overrides(overrides: dict[str, str]) -> FrozenDict:
    return FrozenDict({operator: checked_scheme(operator, scheme) for operator, scheme in overrides.items()})


def _check_power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ConfigError(f"expected a power of two, got {value}", value=value)
    return value


def _products_per_add(value: object) -> int | str:
    if value == WHOLE_TILE:
        return WHOLE_TILE
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_PRODUCTS_PER_ADD:
        return value
    shown = repr(value) if isinstance(value, (int, float, str)) else type(value).__name__
    raise ValueError(f"expected a whole number from 1 to {MAX_PRODUCTS_PER_ADD} or {WHOLE_TILE!r}, got {shown}")


def _reserve(value: object) -> int | str:
    if value == AUTO:
        return AUTO
    try:
        size = parse_bytes(value)
    except QuantityError as error:
        raise ValueError(f"{error}, or {AUTO}" if isinstance(value, str) else str(error)) from error
    if size > MAX_MEMORY:
        raise ValueError(f"expected at most {MAX_MEMORY}, got {size}")
    return size


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected 0 or 1, got {str(value).lower()}")
    return value


def _no_number_text(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError(f"expected a number, got {str(value).lower()[:60]!r}")
    return value


Side = Annotated[int, _whole(1, MAX_SIDE)]
"""A number of parallel parts."""
DotProducts = Annotated[int, _whole(1, 1024)]
Stages = Annotated[int, _whole(0, MAX_STAGES)]
"""Registers in a row."""
Cores = Annotated[int, _whole(1, MAX_CORES)]
OperandBits = Annotated[int, _whole(1, 32)]
AccumulatorBits = Annotated[int, _whole(8, 64)]
BiasBits = Annotated[int, _whole(8, 64)]
BrickBits = Literal[2]
ProductsPerAdd = Annotated[
    int | Literal["tile"],
    PlainValidator(_products_per_add),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_PRODUCTS_PER_ADD}, {"const": WHOLE_TILE}]}
    ),
]
Words = Annotated[int, _whole(1, MAX_MEMORY)]
BytesPerCycle = Annotated[int, _whole(1, MAX_BYTES_PER_CYCLE)]
BurstBytes = Annotated[int, _whole(1, MAX_BURST), _checked(_check_power_of_two)]
"""A power of two."""
DramName = Annotated[Literal["DDR4_2400", "DDR4_3200", "LPDDR4_3200", "LPDDR5_6400", "HBM2_2000"], Field()]
"""Channels of ``dram_standards.yaml``."""
MOST_SLOTS = 8
"""Tiles that a buffer holds at most."""
Slots = Annotated[int, _whole(2, MOST_SLOTS)]
Banks = Annotated[int, _whole(1, MAX_SIDE)]
SharedBanks = Annotated[int, _whole(2, MAX_SIDE)]
"""One of weights and one of activations, at least."""
Ports = Annotated[int, _whole(1, 2)]
RunBits = Annotated[int, _whole(1, 16)]
Compression = Literal["zero_run_length"]
ActivationCompression = Literal["run_length"]
DmaQueues = Annotated[int, _whole(1, 3)]
Im2col = Literal["implicit", "buffer", "dram"]
SetupCycles = Annotated[int, _whole(0, MAX_SETUP_CYCLES)]
Size = Annotated[
    int, _whole(1, MAX_MEMORY), BeforeValidator(parse_bytes), _quantity_schema(BYTES, 1, MAX_MEMORY, "integer")
]
"""Bytes, or ``"64 KiB"``."""
Reserve = Annotated[
    int | Literal["auto"], PlainValidator(_reserve), _quantity_schema(BYTES, 0, MAX_MEMORY, "integer", AUTO)
]
"""Bytes of a memory that are set aside, or ``"64 KiB"``; 0: none; ``"auto"``: as many as serve a network best."""
Clock = Annotated[
    int,
    _whole(MIN_CLOCK_HZ, MAX_CLOCK_HZ),
    BeforeValidator(parse_hertz),
    _quantity_schema(HERTZ, MIN_CLOCK_HZ, MAX_CLOCK_HZ, "integer"),
]
"""Hertz, or ``"500 MHz"``."""
Bandwidth = Annotated[
    int,
    _whole(1, MAX_BANDWIDTH),
    BeforeValidator(parse_bandwidth),
    _quantity_schema(BANDWIDTH, 1, MAX_BANDWIDTH, "integer"),
]
"""Bytes per second, or ``"34 GB/s"``."""
Latency = Annotated[
    float,
    Field(ge=0, le=MAX_LATENCY_NS, allow_inf_nan=False),
    BeforeValidator(parse_nanoseconds),
    _quantity_schema(NANOSECONDS, 0, MAX_LATENCY_NS, "number"),
]
"""Nanoseconds, or ``"100 ns"``."""
MAX_PJ_PER_BIT = 1e6  # a microjoule
EnergyPerBit = Annotated[
    float,
    Field(ge=0, le=MAX_PJ_PER_BIT, allow_inf_nan=False),
    BeforeValidator(parse_picojoules),
    _quantity_schema(PICOJOULES, 0, MAX_PJ_PER_BIT, "number"),
]
"""Picojoules, or ``"3.2 pJ"``."""
MIN_NODE_NM, MAX_NODE_NM = 7, 130  # of Stillmaker & Baas' scaling factors
MAX_VOLTAGE_V = 5.0
Node = Annotated[
    float, Field(ge=MIN_NODE_NM, le=MAX_NODE_NM, allow_inf_nan=False, strict=False), BeforeValidator(_no_number_text)
]
"""Nanometres."""
Voltage = Annotated[
    float, Field(gt=0, le=MAX_VOLTAGE_V, allow_inf_nan=False, strict=False), BeforeValidator(_no_number_text)
]
"""Volts."""
MAX_HOP_UM = 1e6  # a metre
Micrometres = Annotated[
    float, Field(gt=0, le=MAX_HOP_UM, allow_inf_nan=False, strict=False), BeforeValidator(_no_number_text)
]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=False), BeforeValidator(_no_number_text)]
"""0 to 1."""
Label = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
"""One line that neither starts nor ends with a space."""


_SURROGATE = re.compile("[\ud800-\udfff]")


def _file_name(value: object) -> str:
    """Any name that a file can have; those that are no UTF-8 hold surrogates, which pydantic takes for no text."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {repr(value)[:60]}")
    if not value:
        raise ValueError("expected a text that is not empty, got ''")
    if len(value) > MAX_PATH or "\0" in value:
        raise ValueError(f"expected the name of a file, at most {MAX_PATH} characters, none of them NUL")
    return value


FileName = Annotated[
    str,
    PlainValidator(_file_name),
    PlainSerializer(lambda name: _SURROGATE.sub("\ufffd", name), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PATH}),
]
"""A path, or a name that stands for one; in JSON with U+FFFD for what is not UTF-8."""
ArithmeticName = Annotated[
    str,
    _checked(lambda name: arithmetic_named(name).name),
    WithJsonSchema({"type": "string", "enum": list(ARITHMETICS)}),
]
Overrides = Annotated[
    dict[str, str],
    _checked(_check_overrides),
    WithJsonSchema(
        {"type": "object", "propertyNames": {"enum": list(OPERATORS)}, "additionalProperties": {"type": "string"}}
    ),
]


def _stages(value: object) -> StageList | None:
    if value is None or value == "null":
        return None
    try:
        return stage_list(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error


StagesOrNone = Annotated[
    Any,
    PlainValidator(_stages),
    PlainSerializer(lambda stages: None if stages is None else stages.to_data(), return_type=Any),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "null"},
                {"type": "string", "examples": ["multiply multiplier bits=8; ..."]},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_STAGES,
                    "items": {
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": 1,
                        "propertyNames": {"enum": [kind.value for kind in Kind]},
                    },
                },
            ]
        }
    ),
]
"""A :class:`accelsim.numerics.StageList`, from YAML's list or one line of text; None: no stages of the machine's own."""
CycleNumber = Annotated[Literal[0, 1], BeforeValidator(_no_truth_value)]
Split = Literal["auto", "channels", "rows"]
Preload = Literal["serial", "overlapped"]
Mac = Literal["multiply", "shift_add"]
ZeroPoints = Literal["subtract", "extra_channel"]
Coding = Literal["codebook", "golomb_rice"]
Lookups = Annotated[int, _whole(1, MAX_SIDE)]
"""Weights per cycle."""
Reduction = Literal["flat", "per_tap"]
GroupFolds = Literal["apart", "side_by_side"]
StepFolds = Annotated[int, _whole(1, 64)]
ParameterBytes = Annotated[int, _whole(0, 64)]
OverflowPolicy = Literal["wrap", "saturate", "saturate_symmetric", "trap"]
