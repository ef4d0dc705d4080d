"""The machine: a validated value, YAML in, JSON schema out, edits by dotted path."""

from accelsim.arch._suggest import did_you_mean, listing
from accelsim.arch.arithmetic import ARITHMETICS, SPECIAL_SCHEMES, UNSTATED, Arithmetic, arithmetic_named
from accelsim.arch.compute import (
    AccumulatorConfig,
    ArrayConfig,
    CoresConfig,
    RequantizerConfig,
    TechConfig,
    VectorConfig,
)
from accelsim.arch.dataflows import DATAFLOWS, Dataflow
from accelsim.arch.document import Document, read_document, read_text
from accelsim.arch.dram import SRAM, STREAMS, Apart, DramConfig, StreamName
from accelsim.arch.fields import MOST_SLOTS
from accelsim.arch.load import checked, load_arch, preset_names, presets_dir
from accelsim.arch.memory import ActivationBufferConfig, BufferConfig, DmaConfig
from accelsim.arch.model import Arch
from accelsim.arch.schema import json_schema
from accelsim.arch.validate import Problem, short, validated
from accelsim.resources import DEFAULT_ARCH
