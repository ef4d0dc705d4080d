"""The machine: a validated value, YAML in, JSON schema out, edits by dotted path."""

from __future__ import annotations

from accelsim.arch.arithmetic import ARITHMETICS, Arithmetic, arithmetic_named
from accelsim.arch.compute import (
    AccumulatorConfig,
    ArrayConfig,
    CoresConfig,
    RequantizerConfig,
    TechConfig,
    VectorConfig,
)
from accelsim.arch.load import load_arch, preset_names, presets_dir
from accelsim.arch.memory import ActivationBufferConfig, BufferConfig, DmaConfig, DramConfig
from accelsim.arch.model import Arch
from accelsim.arch.schema import json_schema

__all__ = [
    "ARITHMETICS",
    "AccumulatorConfig",
    "ActivationBufferConfig",
    "Arch",
    "Arithmetic",
    "ArrayConfig",
    "BufferConfig",
    "CoresConfig",
    "DmaConfig",
    "DramConfig",
    "RequantizerConfig",
    "TechConfig",
    "VectorConfig",
    "arithmetic_named",
    "json_schema",
    "load_arch",
    "preset_names",
    "presets_dir",
]
