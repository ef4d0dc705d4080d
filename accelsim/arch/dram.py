"""The memories outside the buffers: DRAM, streams, and named channels with their organisation and timings from a packaged file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accelsim.arch import fields
from accelsim.arch.section import Section

StreamName = Literal["weights", "activations", "outputs"]
STREAMS: tuple[StreamName, ...] = get_args(StreamName)
SRAM = "sram"
"""A memory on the chip, priced by its size."""

_Count = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DramTiming(_Record):
    """Least distances between commands, in cycles of the command clock, named as in Ramulator; ``S`` and ``L`` are between
    different bank groups and within one."""

    nRCD: _Count
    nRP: _Count
    nCL: _Count
    nCWL: _Count
    nRAS: _Count
    nRTP: _Count
    nWR: _Count
    nCCDS: _Count
    nCCDL: _Count
    nRRDS: _Count
    nRRDL: _Count
    nFAW: _Count
    nRFC: _Count
    nREFI: _Count


class DramStandard(_Record):
    """One DRAM channel: ``data_rate`` in MT/s, ``row_bytes`` of a bank's row over the whole channel."""

    source: str
    data_rate: _Count
    beats_per_clock: _Count
    channel_bits: _Count
    burst_beats: _Count
    bank_groups: _Count
    banks_per_group: _Count
    row_bytes: _Count
    timing: DramTiming

    @property
    def burst_bytes(self) -> int:
        """Bytes of one burst."""
        return self.channel_bits * self.burst_beats // 8

    @property
    def burst_clocks(self) -> int:
        """Command clocks for which one burst holds the data bus (nBL)."""
        return self.burst_beats // self.beats_per_clock

    @property
    def clock_hz(self) -> int:
        """The command clock."""
        return self.data_rate * 10**6 // self.beats_per_clock

    @property
    def peak_bytes_per_s(self) -> int:
        """What the channel's pins carry."""
        return self.data_rate * 10**6 * self.channel_bits // 8


@cache
def dram_standards() -> Mapping[str, DramStandard]:
    """The packaged channels by name."""
    from ruamel.yaml import YAML

    text = Path(__file__).with_name("dram_standards.yaml").read_text(encoding="utf-8")
    entries = YAML(typ="safe", pure=True).load(text)
    return MappingProxyType({name: DramStandard.model_validate(entry) for name, entry in entries.items()})


class DramConfig(Section):
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


class StreamConfig(Section):
    """What differs from ``dram`` on the way of one kind of data."""

    bandwidth_bytes_per_s: Annotated[
        fields.Bandwidth | None, Field(description="bytes per second; null: as dram.bandwidth_bytes_per_s")
    ] = None
    latency_ns: Annotated[
        fields.Latency | None,
        Field(description="nanoseconds from the end of a transfer at its port to its data; null: as dram.latency_ns"),
    ] = None
    port: Annotated[
        fields.Name | None,
        Field(description="the port at which it takes turns with all that name the same; null: that of dram"),
    ] = None


class MemoryConfig(StreamConfig):
    """The stream of what is loaded, and the memory that it stands in."""

    memory: Annotated[
        fields.Name | None,
        Field(
            description="the memory that it stands in, by which its bits are priced: sram, on the chip, or a DRAM as of tech.dram "
            "(lpddr4, ddr3, hbm2, ...); null: dram. That of activations holds outputs too, which are loaded again"
        ),
    ] = None
    memory_bytes: Annotated[
        fields.Size | None,
        Field(
            description="bytes of an sram: energy per bit, area and leakage are one bank's of that size; null with any other"
        ),
    ] = None
    energy_pj_per_bit: Annotated[
        fields.EnergyPerBit | None,
        Field(
            description="picojoules of a bit read or written, of a memory of your own (flash, say) in place of a named one; null: by the name"
        ),
    ] = None

    @property
    def is_apart(self) -> bool:
        """Whether it is no part of ``dram``."""
        return self.memory is not None or self.energy_pj_per_bit is not None

    @model_validator(mode="after")
    def _is_one_memory(self) -> Self:
        if self.memory is not None and self.energy_pj_per_bit is not None:
            raise ValueError(
                f"energy_pj_per_bit of {self.energy_pj_per_bit:g} beside memory of {self.memory}: a bit has one price; leave one of them out"
            )
        if self.memory == SRAM and self.memory_bytes is None:
            raise ValueError(f"memory_bytes: missing beside memory of {SRAM}; expected its size, which prices a bit")
        if self.memory != SRAM and self.memory_bytes is not None:
            raise ValueError(
                f"memory_bytes of {self.memory_bytes} beside memory of {self.memory or 'null'}: expected null, since only an {SRAM} is "
                f"priced by its size; leave it out, or set memory to {SRAM}"
            )
        return self


class Apart(NamedTuple):
    """Whether weights, and activations, stand in memories of their own in place of ``dram``."""

    weights: bool
    activations: bool


class StreamsConfig(Section):
    """The streams between memories outside the buffers and the machine."""

    weights: MemoryConfig = MemoryConfig()
    activations: MemoryConfig = MemoryConfig()
    outputs: StreamConfig = StreamConfig()

    def of(self, name: StreamName) -> StreamConfig:
        """The stream of that name: loads of weights (and of right operands of matrix products), loads of inputs, stores."""
        found: StreamConfig = getattr(self, name)
        return found

    @property
    def ports(self) -> dict[StreamName, int]:
        """The port of each stream, numbered from 0; those with the same number share it."""
        names = [self.of(name).port for name in STREAMS]
        return {name: names.index(port) for name, port in zip(STREAMS, names, strict=True)}

    @property
    def apart(self) -> Apart:
        """Which of the two memories are no part of ``dram``."""
        return Apart(self.weights.is_apart, self.activations.is_apart)

    @property
    def memories(self) -> tuple[tuple[str | None, int | None, float | None], ...]:
        """Of weights and of activations: memory, bytes and energy per bit, all that prices them."""
        return tuple((one.memory, one.memory_bytes, one.energy_pj_per_bit) for one in (self.weights, self.activations))

    @property
    def is_one_sram(self) -> bool:
        """Whether weights and activations stand in one SRAM: of the same size, at the same port."""
        weights, activations = self.memories
        return weights == activations and self.weights.memory == SRAM and self.weights.port == self.activations.port
