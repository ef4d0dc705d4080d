"""Named DRAM channels: their organisation and timing parameters, from a packaged file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
