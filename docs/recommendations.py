"""Krishnamoorthi's recommendations for hardware (1806.08342), each answered by a command and what it prints."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SECONDS = re.compile(r" in \d+ s\b")
"""Of the processor at hand: not for a page."""


@dataclass(frozen=True)
class Answer:
    """Commands, the last of which is printed, from a line that begins with ``first`` up to the one before ``last``."""

    commands: tuple[str, ...]
    first: str
    last: str


VARIANTS = "compare {} --arch {} --threshold 100 "
ANSWERS = {
    "fusion": Answer(
        (
            VARIANTS.format("mobilenet_v2", "edge_16x16") + "--set activation_buffer.size_bytes='192 KiB' "
            "--variant 'resident: activation_buffer.resident_bytes=131072' "
            "--variant 'fused: activation_buffer.resident_bytes=131072, activation_buffer.fuse_pairs=true'",
        ),
        "variant ",
        "resident:",
    ),
    "compression": Answer(
        (VARIANTS.format("mobilenet_v2", "edge_16x16") + "--variant 'stored in 4 bits: weights.bits=4'",),
        "variant ",
        "stored in 4 bits:",
    ),
    "precision": Answer(
        (
            *(f"quantize digits_float --per-channel --weights {b} --acts {b} -o digits_of_{b}_bits.onnx" for b in (4, 8, 16)),
            VARIANTS.format("digits_of_16_bits.onnx", "bit_fusion_16x16")
            + "--variant '8 bits: model=digits_of_8_bits.onnx' --variant '4 bits: model=digits_of_4_bits.onnx'",
        ),
        "variant ",
        "8 bits:",
    ),
    "layers": Answer(
        ("search-bits digits_float --arch bit_fusion_16x16 --test digits_float --widths 4,8 --acts 8 --budget 6",),
        "point ",
        "proxy ",
    ),
    "channels": Answer(
        ("quantize digits_float --pipeline krishnamoorthi --weights 4 --test digits_float -o digits_by_channel_w4.onnx",),
        "step ",
        "    layer",
    ),
}  # fmt: skip


def answer(asked: Answer) -> str:
    """What the last command prints."""
    with TemporaryDirectory() as folder:
        for command in asked.commands:
            done = subprocess.run(
                [sys.executable, "-m", "accelsim", *shlex.split(command)],
                cwd=folder, check=True, capture_output=True, text=True,
            )  # fmt: skip
    return SECONDS.sub("", part(done.stdout, asked))


def part(text: str, asked: Answer) -> str:
    """From the first line that is asked for to the last, without empty lines at the end; ValueError where one of the two is absent."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith(asked.first)), None)
    end = next(
        (i for i, line in enumerate(lines) if begin is not None and i > begin and line.startswith(asked.last)), None
    )
    if begin is None or end is None:
        raise ValueError(f"no lines from {asked.first!r} to {asked.last!r} in:\n{text}")
    return "\n".join(line.rstrip() for line in lines[begin:end]).rstrip() + "\n"


def block(name: str, printed: str) -> str:
    """Markdown: the commands, and under them what the last one prints."""
    commands = "\n".join(f"$ accelsim {command}" for command in ANSWERS[name].commands)
    return f"```console\n{commands}\n```\n\n```text\n{printed}```\n"
