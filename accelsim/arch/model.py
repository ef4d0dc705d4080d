"""The machine: an immutable, validated value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from accelsim.arch import fields
from accelsim.arch.arithmetic import MACS, UNSTATED, Arithmetic, arithmetic_named
from accelsim.arch.compute import (
    AccumulatorConfig,
    ArrayConfig,
    CoresConfig,
    RequantizerConfig,
    TechConfig,
    VectorConfig,
)
from accelsim.arch.dram import STREAMS, DramConfig, StreamsConfig
from accelsim.arch.dump import yaml_text
from accelsim.arch.memory import (
    ActivationBufferConfig,
    DmaConfig,
    OutputBufferConfig,
    SharedBufferConfig,
    WeightBufferConfig,
    check_shared,
)
from accelsim.arch.paths import edited, leaves, parameter, value_at
from accelsim.arch.section import Section
from accelsim.arch.validate import validated
from accelsim.errors import ConfigError
from accelsim.numerics import StagedScheme, staged_scheme

_DIVIDED = ("weight_buffer", "activation_buffer")


class Arch(Section):
    """A machine: MAC array, accumulators, buffers, units, DRAM, clock and technology.

    Equal when all parameters are equal; hashable. :func:`accelsim.arch.load_arch` reads one from YAML.
    """

    name: Annotated[fields.Name, Field(description="what the machine is called in tables and plots")]
    description: Annotated[fields.Label, Field(description="one sentence")] = ""
    source: Annotated[fields.Label, Field(description="where the numbers come from")] = ""
    arithmetic: Annotated[
        fields.ArithmeticName | None,
        Field(description="named table operator -> requantization scheme; none: the model file's own"),
    ] = None
    overrides: fields.Overrides = Field(
        default_factory=fields.FrozenDict,
        description="single operators that use another scheme: TFLite operator -> scheme",
    )
    clock_hz: Annotated[fields.Clock, Field(description="clock of the whole machine, Hz")]
    array: ArrayConfig
    accumulator: AccumulatorConfig
    weight_buffer: Annotated[WeightBufferConfig, Field(description="weights, on their way to the array")]
    activation_buffer: Annotated[
        ActivationBufferConfig, Field(description="inputs of the array and of the vector unit")
    ]
    output_buffer: Annotated[OutputBufferConfig, Field(description="finished outputs, on their way to DRAM")]
    shared_buffer: SharedBufferConfig = SharedBufferConfig()
    requantizer: RequantizerConfig
    vector: VectorConfig
    dma: DmaConfig = DmaConfig()
    dram: DramConfig
    streams: StreamsConfig = StreamsConfig()
    cores: CoresConfig = CoresConfig()
    tech: TechConfig = TechConfig()

    @model_validator(mode="after")
    def _tree_adds_its_rows(self) -> Self:
        if not self.array.flow.broadcast:
            return self
        if self.accumulator.products_per_add != self.array.rows:
            raise ValueError(
                f"accumulator.products_per_add of {self.accumulator.products_per_add} with an adder tree over array.rows of "
                f"{self.array.rows}: expected {self.array.rows}, since a tree adds the products of all rows at once"
            )
        for name, value, needed in (
            ("weight_preload", self.array.weight_preload, "serial"),
            ("drain", self.array.drain, "serial"),
            ("dot_products", self.array.dot_products, 1),
            ("brick_bits", self.array.brick_bits, None),
        ):
            if value != needed:
                raise ValueError(
                    f"array.{name} of {value} with an adder tree: expected {needed or 'null'}; the weights of a fold stand in "
                    "registers filled while the fold before runs, and each MAC makes one product"
                )
        return self

    @model_validator(mode="after")
    def _buffers_have_room(self) -> Self:
        if self.shared_buffer.size_bytes is None:
            for name in _DIVIDED:
                if getattr(self, name).size_bytes is None:
                    raise ValueError(
                        f"{name}.size_bytes: missing; expected bytes in all, or shared_buffer.size_bytes for weights and activations together"
                    )
            return self
        check_shared(self.shared_buffer, self.weight_buffer, self.activation_buffer)
        return self

    @model_validator(mode="after")
    def _codes_once(self) -> Self:
        if self.weight_buffer.coding != "golomb_rice":
            return self
        compression = self.dma.weight_compression
        if compression is not None:
            raise ValueError(
                f"dma.weight_compression of {compression} with weight_buffer.coding of golomb_rice: expected null, since its code has runs "
                "of zeros already; leave one of them out"
            )
        if self.dma.whole_weight_tiles:
            raise ValueError(
                "dma.whole_weight_tiles with weight_buffer.coding of golomb_rice: expected false, since coded weights have no padding; "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _stages_hold_their_values(self) -> Self:
        if self.requantizer.stages is None:
            return self
        try:
            staged_scheme(self.requantizer.stages, self.accumulator.bits)
        except ConfigError as error:
            raise ValueError(
                f"requantizer.stages behind an accumulator.bits of {self.accumulator.bits}: {error}"
            ) from error
        twice = sorted(set(MACS) & self.overrides.keys())
        if twice:
            raise ValueError(
                f"overrides.{twice[0]} beside requantizer.stages, which serve all MAC layers: take one of them out"
            )
        return self

    @model_validator(mode="after")
    def _dram_keeps_up(self) -> Self:
        rates = {f"streams.{name}": self.streams.of(name).bandwidth_bytes_per_s for name in STREAMS}
        for path, rate in ({"dram": self.dram.bandwidth_bytes_per_s} | rates).items():
            if rate is not None and self.clock_hz > fields.MAX_CYCLES_PER_BYTE * rate:
                raise ValueError(
                    f"{path}.bandwidth_bytes_per_s of {rate} at a clock_hz of {self.clock_hz}:"
                    f" expected at most {fields.MAX_CYCLES_PER_BYTE} cycles per byte; raise bandwidth or lower clock"
                )
        return self

    @model_validator(mode="after")
    def _cores_share_no_tensors(self) -> Self:
        resident = self.activation_buffer.resident_bytes
        if self.cores.count > 1 and self.activation_buffer.is_divided and resident:
            raise ValueError(
                f"cores.count of {self.cores.count} with activation_buffer.resident_bytes of {resident}: expected 0, since a "
                "tensor that several cores make and read fits no single core's memory; keep nothing or use one core"
            )
        return self

    @property
    def tile_banks(self) -> int:
        """Banks of the shared memory that tiles may take: those beside ``activation_buffer.resident_bytes``."""
        return (self.shared_buffer.banks or 0) - self.shared_buffer.banks_of(self.activation_buffer.kept_bytes)

    @property
    def most_kept_bytes(self) -> int:
        """The largest ``activation_buffer.resident_bytes`` that leave room for tiles."""
        buffer, shared = self.activation_buffer, self.shared_buffer
        if buffer.size_bytes is None:
            return ((shared.banks or 0) - 1 - (shared.weight_banks or 1)) * shared.bank_bytes
        return max(0, buffer.size_bytes - (2 if buffer.double_buffered else 1))

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-accumulates per cycle of all cores' full arrays, at operands as wide as their ports."""
        return self.cores.count * self.array.macs

    def macs_per_cycle(self, weight_bits: int, activation_bits: int) -> float:
        """Multiply-accumulates per cycle of all cores' full arrays at operands of these widths."""
        rate = self.array.composed(weight_bits, activation_bits) / self.array.passes(weight_bits, activation_bits)
        return self.peak_macs_per_cycle * rate

    def rules(self) -> Arithmetic:
        """The machine's arithmetic with its overrides; where it states none, of the runtime most often met (``UNSTATED``)."""
        return arithmetic_named(self.arithmetic or UNSTATED).with_overrides(self.operator_schemes)

    @property
    def scheme(self) -> StagedScheme | None:
        """The scheme that ``requantizer.stages`` are behind these accumulators; None without them."""
        stages = self.requantizer.stages
        return None if stages is None else staged_scheme(stages, self.accumulator.bits)

    @property
    def operator_schemes(self) -> fields.FrozenDict:
        """Scheme by operator where it is not the arithmetic's: ``overrides``, and the requantizer's own stages for all MAC layers."""
        own = self.scheme
        return fields.FrozenDict({**self.overrides, **({} if own is None else dict.fromkeys(MACS, own.name))})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Arch:
        """The machine in a nested mapping, unit strings included; ConfigError names every wrong entry by its path."""
        return validated(cls, data)

    def with_(self, edits: Mapping[str, object]) -> Arch:
        """The machine with some dotted paths changed, validated again.

        Texts are read as on a command line: ``"32"``, ``"true"``, ``"none"``, ``"64 KiB"``. ``overrides.ADD`` sets the
        scheme of one operator, and None removes it. ConfigError for unknown paths and wrong values.
        """
        return edited(self, edits)

    def get(self, path: str) -> Any:
        """The value at a dotted path; ConfigError that suggests the nearest path."""
        return value_at(self, path)

    @classmethod
    def read_value(cls, path: str, value: object) -> Any:
        """``value`` as :meth:`with_` reads it at ``path``, by itself: ``"0.4 GB/s"`` is 400000000; ConfigError as there."""
        return parameter(cls, path, value)

    def paths(self) -> tuple[str, ...]:
        """Every dotted path, in the order of the schema, then the operators that are overridden."""
        return (*leaves(type(self)), *(f"overrides.{operator}" for operator in self.overrides))

    def to_yaml(self) -> str:
        """YAML that :func:`load_arch` reads back to an equal machine, every default filled in."""
        return yaml_text(self)
