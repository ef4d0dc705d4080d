"""The machine: an immutable, validated value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from accelsim.arch import fields
from accelsim.arch.arithmetic import Arithmetic, arithmetic_named
from accelsim.arch.dram import DramStandard, dram_standards


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ArrayConfig(_Section):
    """The MAC array."""

    rows: Annotated[fields.Side, Field(description="rows of MACs")]
    cols: Annotated[fields.Side, Field(description="columns of MACs")]
    dataflow: Annotated[
        fields.Dataflow,
        Field(
            description="which operand stays in a systolic array while the others pass; adder_tree: activations are broadcast to "
            "all columns, each of which sums its products over the rows at once"
        ),
    ]
    weight_bits: Annotated[
        fields.OperandBits,
        Field(description="width of a weight port, bits; wider weights take ceil(bits / port) passes"),
    ] = 8
    activation_bits: Annotated[
        fields.OperandBits,
        Field(description="width of an activation port, bits; wider activations take ceil(bits / port) passes each"),
    ] = 8
    weight_preload: Annotated[
        fields.Preload,
        Field(
            description="weight- and input-stationary: what stays shifts in before a fold (serial) or behind the one before"
        ),
    ] = "serial"
    pipeline_stages: Annotated[
        fields.Stages,
        Field(description="registers between a product and its accumulator, beyond the steps of a systolic array"),
    ] = 0
    first_cycle: Annotated[
        fields.CycleNumber,
        Field(description="number of a layer's first compute cycle; 0 reports the index of the last one, as SCALE-Sim"),
    ] = 1
    brick_bits: Annotated[
        fields.BrickBits | None,
        Field(
            description="composable MACs: each is made of multipliers this wide, which narrow operands share out; null: none"
        ),
    ] = None

    @model_validator(mode="after")
    def _ports_are_bricks(self) -> Self:
        if self.brick_bits is not None:
            for name in ("weight_bits", "activation_bits"):
                bits = getattr(self, name)
                if bits != self._bricked(bits):
                    raise ValueError(
                        f"brick_bits of {self.brick_bits} with {name} of {bits}: expected ports of 2, 4, 8, 16 or 32 bits"
                    )
        return self

    def passes(self, weight_bits: int, activation_bits: int) -> int:
        """Array passes per product: operands wider than the ports are fed in slices (8x16 half rate, 16x16 quarter)."""
        return -(-weight_bits // self.weight_bits) * -(-activation_bits // self.activation_bits)

    def products(self, weight_bits: int, activation_bits: int) -> int:
        """Products of one sum that a composable MAC makes at once; 1 without bricks.

        ``(weight port / weight slot) * (activation port / activation slot)``, a slot being the operand's width rounded up to
        2, 4, 8 or 16 bits, at most the port: 16 of 2x2, 4 of 4x4 and of 2x8, 1 of 8x8 on 8-bit ports (the Fusion Unit of
        Sharma et al., ISCA 2018).
        """
        if self.brick_bits is None:
            return 1
        weight, activation = self._bricked(weight_bits), self._bricked(activation_bits)
        return max(1, self.weight_bits // weight) * max(1, self.activation_bits // activation)

    def _bricked(self, bits: int) -> int:
        """``bits`` rounded up to a brick times a power of two."""
        brick = self.brick_bits or 1
        return brick << (-(-bits // brick) - 1).bit_length()


class AccumulatorConfig(_Section):
    """The accumulators behind the array."""

    count: Annotated[fields.Words, Field(description="words in all, both halves of a double-buffered set included")]
    bits: Annotated[fields.AccumulatorBits, Field(description="width of a word, bits")]
    overflow: Annotated[fields.OverflowPolicy, Field(description="what becomes of a sum that leaves the width")]
    double_buffered: Annotated[
        StrictBool, Field(description="whether one half is requantized while the other accumulates")
    ] = True
    products_per_add: Annotated[
        fields.ProductsPerAdd,
        Field(
            description="consecutive products of a compute tile that an adder tree sums exactly before each addition, in the "
            "order kernel row, kernel column, channel, padding included; tile: all of them; overflow is judged after additions"
        ),
    ] = 1
    bias_bits: Annotated[
        fields.BiasBits | None,
        Field(description="width of a bias, bits; wider biases are refused; null: as wide as the sum"),
    ] = None
    word_per_slice: Annotated[
        StrictBool,
        Field(
            description="whether activations wider than their port take one word per slice, which makes their sums as much "
            "wider; false: slices are shifted and added into one word, as in bit-serial arrays"
        ),
    ] = True

    @model_validator(mode="after")
    def _holds_a_word(self) -> Self:
        if self.double_buffered and self.count < 2:
            raise ValueError("double-buffered accumulators need a count of 2 or more, one word per half, got 1")
        return self


class BufferConfig(_Section):
    """One on-chip memory between DRAM and the array."""

    size_bytes: Annotated[
        fields.Size, Field(description="bytes in all, both halves of a double-buffered memory included")
    ]
    double_buffered: Annotated[StrictBool, Field(description="whether one half is filled while the other is read")] = (
        True
    )
    bytes_per_cycle: Annotated[
        fields.BytesPerCycle | None,
        Field(
            description="width of the read port, bytes per cycle: what the banks of one tile deliver together; "
            "null: as its reader needs"
        ),
    ] = None
    banks: Annotated[
        fields.Banks,
        Field(
            description="banks; with one port, the halves of a double-buffered memory stand in banks of their own where the number "
            "is even, else a tile is filled and read in turn with its neighbours"
        ),
    ] = 1
    ports: Annotated[
        fields.Ports,
        Field(description="accesses per bank and cycle: 1, a read or a write; 2, a read and a write"),
    ] = 2

    @property
    def overlaps(self) -> bool:
        """Whether one tile is filled while another is read: two halves, and two ports or banks of their own."""
        return self.double_buffered and (self.ports == 2 or self.banks % 2 == 0)

    @model_validator(mode="after")
    def _holds_a_byte(self) -> Self:
        if self.double_buffered and self.size_bytes < 2:
            raise ValueError("a double-buffered memory needs 2 bytes or more, one per half, got 1")
        return self


class ActivationBufferConfig(BufferConfig):
    """The memory of activations: slots for tiles, and a part that keeps whole tensors between layers."""

    resident_bytes: Annotated[
        fields.Reserve,
        Field(
            description="bytes of size_bytes set aside to keep whole tensors on chip from the layer that makes them to the last "
            "that reads them; the slots for tiles share the rest; 0: every tensor goes through DRAM"
        ),
    ] = 0

    @model_validator(mode="after")
    def _leaves_room_for_tiles(self) -> Self:
        least = 2 if self.double_buffered else 1
        if self.resident_bytes and self.size_bytes - self.resident_bytes < least:
            raise ValueError(
                f"resident_bytes of {self.resident_bytes} in size_bytes of {self.size_bytes}: expected at most "
                f"{max(0, self.size_bytes - least)}, since tiles need the rest; enlarge size_bytes or keep less"
            )
        return self


class RequantizerConfig(_Section):
    """The unit that takes accumulators to output codes."""

    lanes: Annotated[fields.Side, Field(description="outputs per cycle")]


class VectorConfig(_Section):
    """The unit for layers without MACs."""

    lanes: Annotated[fields.Side, Field(description="elements per cycle")]


class DmaConfig(_Section):
    """The queues between DRAM and the buffers."""

    setup_cycles: Annotated[fields.SetupCycles, Field(description="cycles before each transfer")] = 0
    weight_compression: Annotated[
        fields.Compression | None,
        Field(
            description="coding of constant weights in DRAM, unpacked on their way into the weight buffer: zero_run_length, pairs of "
            "zeros before and weight as in EIE, for each tile that it makes shorter; null: none"
        ),
    ] = None
    zero_run_bits: Annotated[
        fields.RunBits, Field(description="width of the run in a pair of zero_run_length, bits")
    ] = 4


class DramConfig(_Section):
    """The memory outside the chip."""

    bandwidth_bytes_per_s: Annotated[fields.Bandwidth, Field(description="bytes per second of its one port")]
    latency_ns: Annotated[
        fields.Latency, Field(description="nanoseconds from the end of a transfer at the port to its data on the chip")
    ]
    burst_bytes: Annotated[
        fields.BurstBytes,
        Field(
            description="bytes of a burst, a power of two: each run of consecutive addresses in a transfer is rounded out to whole, "
            "aligned bursts; at least a burst of the standard; 1: exactly the bytes of the tile are moved"
        ),
    ] = 1
    standard: Annotated[
        fields.DramName | None,
        Field(
            description="DRAM channel whose rows, banks and timings bound each transfer from below, beside bandwidth_bytes_per_s, "
            "which must not exceed its peak; null: bandwidth and latency only"
        ),
    ] = None

    @model_validator(mode="after")
    def _within_the_channel(self) -> Self:
        if self.channel is not None and self.bandwidth_bytes_per_s > self.channel.peak_bytes_per_s:
            raise ValueError(
                f"bandwidth_bytes_per_s of {self.bandwidth_bytes_per_s} with standard {self.standard}: expected at most the "
                f"{self.channel.peak_bytes_per_s} of that channel; lower it, or choose another standard"
            )
        return self

    @property
    def channel(self) -> DramStandard | None:
        """The parameters of ``standard``."""
        return None if self.standard is None else dram_standards()[self.standard]

    @property
    def bytes_per_burst(self) -> int:
        """Bytes that the DRAM moves at once: ``burst_bytes``, at least a burst of the standard."""
        return self.burst_bytes if self.channel is None else max(self.burst_bytes, self.channel.burst_bytes)


class CoresConfig(_Section):
    """How many times the machine has all but its DRAM, and how a layer is shared out."""

    count: Annotated[
        fields.Cores,
        Field(
            description="identical cores, each with its own array, accumulators, buffers, units and DMA queues, at one DRAM port"
        ),
    ] = 1
    split: Annotated[
        fields.Split,
        Field(
            description="what is shared out of a MAC layer: output channels (whole groups, where there are several), output rows, "
            "or what makes the layer faster by a closed form (auto)"
        ),
    ] = "auto"


class TechConfig(_Section):
    """What one action costs."""

    energy_table: Annotated[
        fields.Name, Field(description="name of a packaged energy table, or the path of a YAML file")
    ] = "horowitz_45nm"
    node_nm: Annotated[
        fields.Node | None,
        Field(
            description="process node that the table is scaled to, nm (Stillmaker & Baas' factors); null: the table's own"
        ),
    ] = None
    voltage_v: Annotated[
        fields.Voltage | None,
        Field(
            description="supply that the table is scaled to, V (energy with its square, leakage with it); null: the table's own"
        ),
    ] = None
    dram: Annotated[
        fields.Name | None,
        Field(
            description="DRAM whose energy per bit replaces the table's: lpddr4, ddr3, hbm2, ...; null: the table's own"
        ),
    ] = None


class Arch(_Section):
    """A machine: MAC array, accumulators, buffers, units, DRAM, clock and technology.

    Equal when all parameters are equal; hashable. :func:`accelsim.arch.load_arch` reads one from YAML.
    """

    name: Annotated[fields.Name, Field(description="what the machine is called in tables and plots")]
    description: Annotated[fields.Label, Field(description="one sentence")] = ""
    source: Annotated[fields.Label, Field(description="where the numbers come from")] = ""
    arithmetic: Annotated[fields.ArithmeticName, Field(description="named table operator -> requantization scheme")] = (
        "tflite-micro"
    )
    overrides: fields.Overrides = Field(
        default_factory=fields.FrozenDict,
        description="single operators that use another scheme: TFLite operator -> scheme",
    )
    clock_hz: Annotated[fields.Clock, Field(description="clock of the whole machine, Hz")]
    array: ArrayConfig
    accumulator: AccumulatorConfig
    weight_buffer: Annotated[BufferConfig, Field(description="weights, on their way to the array")]
    activation_buffer: Annotated[
        ActivationBufferConfig, Field(description="inputs of the array and of the vector unit")
    ]
    output_buffer: Annotated[BufferConfig, Field(description="finished outputs, on their way to DRAM")]
    requantizer: RequantizerConfig
    vector: VectorConfig
    dma: DmaConfig = DmaConfig()
    dram: DramConfig
    cores: CoresConfig = CoresConfig()
    tech: TechConfig = TechConfig()

    @model_validator(mode="after")
    def _tree_adds_its_rows(self) -> Self:
        if self.array.dataflow != "adder_tree":
            return self
        if self.accumulator.products_per_add != self.array.rows:
            raise ValueError(
                f"accumulator.products_per_add of {self.accumulator.products_per_add} with an adder tree over array.rows of "
                f"{self.array.rows}: expected {self.array.rows}, since a tree adds the products of all rows at once"
            )
        for name, value, needed in (
            ("weight_preload", self.array.weight_preload, "serial"),
            ("brick_bits", self.array.brick_bits, None),
        ):
            if value != needed:
                raise ValueError(
                    f"array.{name} of {value} with an adder tree: expected {needed or 'null'}; the weights of a fold stand in "
                    "registers filled while the fold before runs, and each MAC makes one product"
                )
        return self

    @model_validator(mode="after")
    def _dram_keeps_up(self) -> Self:
        if self.clock_hz > fields.MAX_CYCLES_PER_BYTE * self.dram.bandwidth_bytes_per_s:
            raise ValueError(
                f"dram.bandwidth_bytes_per_s of {self.dram.bandwidth_bytes_per_s} at a clock_hz of {self.clock_hz}:"
                f" expected at most {fields.MAX_CYCLES_PER_BYTE} cycles per byte; raise bandwidth or lower clock"
            )
        return self

    @model_validator(mode="after")
    def _cores_share_no_tensors(self) -> Self:
        resident = self.activation_buffer.resident_bytes
        if self.cores.count > 1 and resident:
            raise ValueError(
                f"cores.count of {self.cores.count} with activation_buffer.resident_bytes of {resident}: expected 0, since a "
                "tensor that several cores make and read fits no single core's memory; keep nothing or use one core"
            )
        return self

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-accumulates per cycle of all cores' full arrays, at operands as wide as their ports."""
        return self.cores.count * self.array.rows * self.array.cols

    def macs_per_cycle(self, weight_bits: int, activation_bits: int) -> float:
        """Multiply-accumulates per cycle of all cores' full arrays at operands of these widths."""
        rate = self.array.products(weight_bits, activation_bits) / self.array.passes(weight_bits, activation_bits)
        return self.peak_macs_per_cycle * rate

    def rules(self) -> Arithmetic:
        """The machine's arithmetic with its overrides."""
        return arithmetic_named(self.arithmetic).with_overrides(self.overrides)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Arch:
        """The machine in a nested mapping, unit strings included; ConfigError names every wrong entry by its path."""
        from accelsim.arch.validate import validated

        return validated(data)

    def with_(self, edits: Mapping[str, object]) -> Arch:
        """The machine with some dotted paths changed, validated again.

        Texts are read as on a command line: ``"32"``, ``"true"``, ``"none"``, ``"64 KiB"``. ``overrides.ADD`` sets the
        scheme of one operator, and None removes it. ConfigError for unknown paths and wrong values.
        """
        from accelsim.arch.paths import edited

        return edited(self, edits)

    def get(self, path: str) -> Any:
        """The value at a dotted path; ConfigError that suggests the nearest path."""
        from accelsim.arch.paths import value_at

        return value_at(self, path)

    def paths(self) -> tuple[str, ...]:
        """Every dotted path, in the order of the schema, then the operators that are overridden."""
        from accelsim.arch.paths import LEAF_PATHS

        return (*LEAF_PATHS, *(f"overrides.{operator}" for operator in self.overrides))

    def to_yaml(self) -> str:
        """YAML that :func:`load_arch` reads back to an equal machine, every default filled in."""
        from accelsim.arch.dump import yaml_text

        return yaml_text(self)
