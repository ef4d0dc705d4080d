"""Result and its parts; the JSON they write is a stable contract, versioned by ``schema_version``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from accelsim.display import as_html, as_text
from accelsim.errors import AccelsimError
from accelsim.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 3

Bound = Literal[
    "compute", "fill/drain", "weight load", "activation load", "store", "requantize", "vector", "keep", "recall", "none"
]
BOUNDS: tuple[Bound, ...] = get_args(Bound)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LayerResult(_Record):
    """What one layer does on the machine.

    ``cycles`` is how far the layer moves the finish of the network (layers overlap; the column adds up to the total).
    ``compute_cycles`` is the time the array is busy, ``stream_cycles`` the part of it that streams operands; the rest fills and
    drains. ``busy_cycles`` holds each engine's time, ``stall_cycles`` by cause how long the array stood still for this layer's
    work. ``compute_bound_cycles`` is what a full array would take, ``traffic_bound_cycles`` the busiest port if each byte passed it
    once (of the total, the port that is busiest over all layers). ``utilization`` is MACs over what the array could have done in
    ``cycles``, ``compute_utilization`` the same for ``compute_cycles``; None where the array has nothing to do.
    ``bound`` names the busiest part. ``energy_split_pj`` is by component, ``energy_tensor_pj`` by what the energy is spent on: moving one
    of four tensors, arithmetic, or idling. Energies are in picojoules, traffic in bytes. ``cores`` have a share of the layer; times of
    engines, arrays and stalls are those of all cores added up, and utilizations compare with all cores' arrays.
    ``weight_banks`` and ``activation_banks`` of a shared memory are the layer's; None where weights and activations have memories of
    their own.
    """

    index: int
    name: str
    op: str
    output: str
    output_shape: tuple[int, ...]
    macs: int
    tiles: int
    cycles: int
    compute_cycles: int
    stream_cycles: int
    compute_bound_cycles: int
    traffic_bound_cycles: int
    busy_cycles: dict[str, int]
    stall_cycles: dict[str, int]
    start_cycle: int
    finish_cycle: int
    utilization: float | None
    compute_utilization: float | None
    bound: Bound
    dram_read_bytes: int
    dram_write_bytes: int
    buffer_read_bytes: int
    buffer_write_bytes: int
    counts: dict[str, int]
    energy_pj: float
    energy_split_pj: dict[str, float]
    energy_tensor_pj: dict[str, float] = {}
    mapping: str
    weight_banks: int | None = None
    activation_banks: int | None = None
    cores: int = 1


class Total(_Record):
    """Sums and rates of one inference of the whole network.

    ``array_cycles`` says where the array's time went: ``stream``, ``fill_drain`` (``weight_shift`` where the array pipelines tiles),
    and every cause for which it stood still; its entries add up to ``cycles`` times the cores. The bounds are sums over the layers.
    ``core_busy_cycles`` holds each core's time per engine.
    """

    macs: int
    tile_operations: int
    cycles: int
    compute_cycles: int
    compute_bound_cycles: int
    traffic_bound_cycles: int
    array_cycles: dict[str, int]
    latency_s: float
    inferences_per_s: float
    utilization: float
    weight_bytes: int
    dram_read_bytes: int
    dram_write_bytes: int
    buffer_read_bytes: int
    buffer_write_bytes: int
    energy_pj: float
    energy_split_pj: dict[str, float]
    energy_per_mac_fj: float | None
    average_power_w: float
    core_busy_cycles: tuple[dict[str, int], ...] = ()


class EnergySummary(_Record):
    """How the energy of one inference is made up, how sure it is, and what follows from it.

    ``low_pj`` and ``high_pj`` bound the total by interval arithmetic over ``ranges``, the factors between which each entry of
    the table lies; ``percentiles_pj`` are of a seeded distribution over them. ``entries_pj`` (by entry of the table) and
    ``tensors_pj`` add up to the total. ``area_um2`` is None for parts whose area the table does not hold. ``notes`` say how the
    table's figures came to fit this machine: gaps filled, scaling, what is taken as exact.
    """

    node_nm: float | None
    voltage_v: float | None
    low_pj: float
    high_pj: float
    percentiles_pj: dict[str, float]
    entries_pj: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    tensors_pj: dict[str, float]
    tops_per_w: float | None
    energy_delay_js: float
    peak_power_w: float
    area_um2: dict[str, float | None]
    notes: tuple[str, ...] = ()


class AreaSummary(_Record):
    """Square micrometres of the machine's array, buffers, accumulators and units, all cores together, and how sure they are.

    ``low_um2`` and ``high_um2`` bound the total by interval arithmetic over ``ranges``, as those of the energy do;
    ``percentiles_um2`` are of the same kind of draws. ``parts_um2`` (by part of the machine) and ``entries_um2`` (by entry of the
    table) add up to the total. ``filled`` names the entries that the table lacks and by which rule, from which table they came;
    ``notes`` say what else was assumed, and what is left out.
    """

    total_um2: float
    low_um2: float
    high_um2: float
    percentiles_um2: dict[str, float]
    parts_um2: dict[str, float]
    entries_um2: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    filled: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def filled_um2(self) -> float:
        """The part of the total that comes from the rule."""
        return sum(um2 for key, um2 in self.entries_um2.items() if key in self.filled)


class ValueSummary(_Record):
    """What the bit-exact datapath computed.

    ``reader`` says which reader made the values of all inputs: ``program`` (through the Program's tiles and buffers) or
    ``layers`` (whole-layer kernels, allowed where ``accumulators_proved``); ``program_checked`` inputs were also run through
    the Program and gave the same bits. ``accuracy`` needs labels.
    """

    inputs: int
    reader: Literal["program", "layers"]
    program_checked: int
    accumulators_proved: bool
    accuracy: float | None = None
    correct: int | None = None


class Result(_Record):
    """One network on one machine: per layer and in total.

    ``mapper`` cut the layers into tiles: ``default``, ``search``, or the name of a mapping file; None where the tiles came with a
    Program. ``objective`` is what that minimised; None where nobody said.
    """

    schema_version: int = SCHEMA_VERSION
    accelsim_version: str
    model: str
    arithmetic: str
    arch: dict[str, Any]
    energy_table: str
    mapper: str | None = None
    objective: Objective | None = None
    layers: tuple[LayerResult, ...]
    total: Total
    energy: EnergySummary | None = None
    area: AreaSummary | None = None
    values: ValueSummary | None = None
    not_modelled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def area_um2(self) -> float | None:
        """Square micrometres of the machine, of which ``area`` gives the interval; None where the table states no node to size it at."""
        return None if self.area is None else self.area.total_um2

    def to_json(self, *, indent: int | None = 2) -> str:
        """The Result as JSON text."""
        return self.model_dump_json(indent=indent) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """The Result that :meth:`to_json` wrote; AccelsimError on other text or another schema version."""
        try:
            version = json.loads(text).get("schema_version")
        except (ValueError, AttributeError) as error:
            raise AccelsimError(f"not a Result: expected the JSON of Result.to_json, got {text[:40]!r}") from error
        if version != SCHEMA_VERSION:
            raise AccelsimError(
                f"Result has schema_version {version}, this accelsim reads {SCHEMA_VERSION}; simulate again"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise AccelsimError(f"Result JSON: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def to_frame(self) -> pd.DataFrame:
        """One row per layer (pandas must be installed: ``pip install 'accelsim[pandas]'``)."""
        try:
            import pandas as pd
        except ImportError as error:
            raise AccelsimError("Result.to_frame needs pandas: pip install 'accelsim[pandas]'") from error
        return pd.DataFrame(self.rows()).set_index("name")

    def rows(self) -> list[dict[str, Any]]:
        """One flat dictionary per layer; nested ones become dotted columns, as in the CSV."""
        return [_flat(layer.model_dump()) for layer in self.layers]

    def __repr__(self) -> str:
        return as_text(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return as_html(self)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            flat[key] = value
    return flat
