"""A stream of numbers: what it is, and the files that hold it, written piece by piece."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from accelsim.handoff.vectors.text import PER_LINE, c_numbers, hex_digits, hex_lines, number_width
from accelsim.numerics import IntFormat

FileFormat = Literal["hex", "npy", "c"]
FORMATS: tuple[FileFormat, ...] = ("hex", "npy", "c")
SUFFIXES: Mapping[FileFormat, str] = {"hex": ".hex", "npy": ".npy", "c": ".h"}
PIECE = 1 << 14
"""Numbers that are turned into text at a time."""


@dataclass(frozen=True)
class Stream:
    """Numbers of one width, row-major in ``shape``, whose ``axes`` have names.

    ``kind`` integer: ``bits`` in two's complement, or plain binary without ``signed``; float: IEEE 754 of 32 or 64 bits.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    bits: int
    signed: bool = True
    kind: Literal["integer", "float"] = "integer"

    @property
    def size(self) -> int:
        """Numbers."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its .npy file, little-endian: the narrowest that holds the width."""
        if self.kind == "float":
            return np.dtype(f"<f{self.bits // 8}")
        return IntFormat(self.bits, self.signed).dtype.newbyteorder("<")

    @cached_property
    def npy_header(self) -> bytes:
        """What stands before the numbers of its .npy file."""
        head = io.BytesIO()
        fields = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(head, fields)
        return head.getvalue()

    @property
    def c_type(self) -> str:
        """Of its C array; floats as their bits."""
        signed = self.signed and self.kind == "integer"
        return f"{'' if signed else 'u'}int{8 * self.dtype.itemsize}_t"

    def c_head(self, folder: str) -> bytes:
        """What stands before the numbers of its C header."""
        name = c_name(folder, self.name)
        shape = " x ".join(f"{axis} {size}" for axis, size in zip(self.axes, self.shape, strict=True)) or "1"
        return (
            f"// {self.name} of {folder}: {self.bits} bits, row-major {shape}\n#include <stdint.h>\n"
            f"#define {name.upper()}_COUNT {self.size}\nstatic const {self.c_type} {name}[{self.size}] = {{\n"
        ).encode()

    def bytes_in(self, fmt: FileFormat, folder: str) -> int:
        """Size of its file."""
        if fmt == "hex":
            return self.size * (hex_digits(self.bits) + 1)
        if fmt == "npy":
            return len(self.npy_header) + self.size * self.dtype.itemsize
        width = number_width(self.bits, self.signed, self.kind)
        return len(self.c_head(folder)) + self.size * (width + 2) + -(-self.size // PER_LINE) + len(_C_TAIL)

    def description(self, folder: str, formats: tuple[FileFormat, ...]) -> dict[str, Any]:
        """The stream as the manifest has it."""
        files = {fmt: f"{folder}/{self.name}{SUFFIXES[fmt]}" for fmt in formats if self.size}
        return {
            "shape": list(self.shape), "axes": list(self.axes), "kind": self.kind, "bits": self.bits, "signed": self.signed,
            "c_name": c_name(folder, self.name), "files": files,
        }  # fmt: skip


_C_TAIL = b"};\n"


def c_name(folder: str, stream: str) -> str:
    """Of a stream's C array."""
    return re.sub(r"\W", "_", f"l{folder}_{stream}", flags=re.ASCII)


class StreamFiles:
    """The files of one stream while they are written; what was appended must fill the shape in the end."""

    def __init__(self, stream: Stream, root: Path, folder: str, formats: tuple[FileFormat, ...]) -> None:
        self.stream, self._folder, self._formats = stream, folder, formats if stream.size else ()
        self._open, self._root, self.count = ExitStack(), root, 0
        self._files: dict[FileFormat, IO[bytes]] = {}
        self._digests = {fmt: hashlib.sha256() for fmt in self._formats}
        self._rest = np.empty(0, dtype=stream.dtype)
        """Numbers of a C line that is not full yet."""

    def __enter__(self) -> Self:
        for fmt in self._formats:
            path = self._root / self._folder / f"{self.stream.name}{SUFFIXES[fmt]}"
            self._files[fmt] = self._open.enter_context(path.open("wb"))
        heads = {"npy": self.stream.npy_header, "c": self.stream.c_head(self._folder)}
        for fmt in self._formats:
            self._put(fmt, heads.get(fmt, b""))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def append(self, values: NDArray[Any]) -> int:
        """Write the next numbers; the place of the first of them."""
        first, flat = self.count, np.ascontiguousarray(values).reshape(-1)
        assert self.stream.kind == "float" or IntFormat(self.stream.bits, self.stream.signed).holds(flat), self.stream
        self.count += flat.size
        for start in range(0, flat.size, PIECE):
            piece = flat[start : start + PIECE].astype(self.stream.dtype)
            if "hex" in self._files:
                self._put("hex", hex_lines(piece, self.stream.bits))
            if "npy" in self._files:
                self._put("npy", piece.tobytes())
            if "c" in self._files:
                self._c_lines(piece)
        return first

    def _c_lines(self, piece: NDArray[Any]) -> None:
        held = np.concatenate([self._rest, piece])
        whole = held.size // PER_LINE * PER_LINE
        self._rest = held[whole:]
        text = np.frombuffer(c_numbers(held[:whole], self.stream.bits, self.stream.signed), dtype=np.uint8)
        lines = text.reshape(whole // PER_LINE, -1) if whole else text.reshape(0, 0)
        ended = np.pad(lines, ((0, 0), (0, 1)), constant_values=ord("\n"))
        self._put("c", ended.tobytes())

    def _put(self, fmt: FileFormat, data: bytes) -> None:
        self._files[fmt].write(data)
        self._digests[fmt].update(data)

    def finish(self) -> dict[str, str]:
        """Close the files; SHA-256 of each by its path."""
        assert self.count == self.stream.size, f"{self.stream.name}: {self.count} of {self.stream.size} numbers"
        if "c" in self._files:
            tail = c_numbers(self._rest, self.stream.bits, self.stream.signed) + b"\n" if self._rest.size else b""
            self._put("c", tail + _C_TAIL)
        self._open.close()
        name = f"{self._folder}/{self.stream.name}"
        return {f"{name}{SUFFIXES[fmt]}": digest.hexdigest() for fmt, digest in self._digests.items()}
