"""Transformers: GPT-2, Llama, BERT, ViT. Normalizations, embeddings and rotations of positions are left out of the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from accelsim.families.network import Network, check_divides, check_resolution
from accelsim.families.rows import Place, Table

SOFTMAX_NOTE = "The softmax runs over c, one row per token (h) and head (w)."
FOLDED = "Scaling by the root of a head's width is folded into the scores."


class Attention(NamedTuple):
    """``heads`` of queries, of which equally many share each of ``kv_heads`` of ``keys`` keys and values, ``width`` long."""

    batch: int
    heads: int
    kv_heads: int
    width: int
    keys: int
    kv_bits: int
    cached: bool = False
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Transformer(Network):
    """Layers of attention and of two dense layers, each ``feed_forward`` wide inside."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    feed_forward: int | None = None

    def check(self) -> None:
        """As every network; heads are equally wide."""
        check_divides(self, "heads", "width")

    @property
    def inner(self) -> int:
        """Width inside the feed-forward layers."""
        return 4 * self.width if self.feed_forward is None else self.feed_forward

    @property
    def shape(self) -> str:
        """Its size in words."""
        return f"{self.layers} layers of width {self.width} with {self.heads} heads, batch {self.batch}"

    def encode(self, table: Table, attention: Attention) -> None:
        """Append all layers."""
        for index in range(self.layers):
            append_attention(table, f"layer{index}", attention)
            append_feed_forward(table, f"layer{index}", self.inner)

    def looking_at_itself(self, tokens: int) -> Attention:
        """Every token attends to all of ``tokens``."""
        head = self.width // self.heads
        return Attention(self.batch, self.heads, self.heads, head, tokens, self.activation_bits)


def append_attention(table: Table, name: str, a: Attention) -> None:
    """Append queries, keys, values, their products, the dense layer behind them and the sum with what came in.

    Each head of keys meets the queries of all heads that share it: rows of one product, so that it is read once. Products of several
    sequences stand side by side.
    """
    entry, (rows, _, width) = table.here, table.shape
    keeping: dict[str, Any] = {"output": "yes"} if a.kept else {}
    if a.kv_bits != table.widths.activation:
        keeping["output_bits"] = a.kv_bits
    query = _projection(table, f"{name}.query", entry, a.heads * a.width)
    key, value = (
        _projection(table, f"{name}.{part}", entry, a.kv_heads * a.width, **keeping) for part in ("key", "value")
    )
    if a.cached:
        key = value = Place((a.keys, 1, a.batch * a.kv_heads * a.width))
    groups, together = a.batch * a.kv_heads, rows // a.batch * (a.heads // a.kv_heads)
    table.here = query
    table.view(together, 1, groups * a.width)
    table.layer(f"{name}.scores", "matmul", oc=groups * a.keys, groups=groups, weight_bits=a.kv_bits, second=key)
    table.view(rows, a.heads, a.keys)
    table.layer(f"{name}.softmax", "softmax")
    table.view(together, 1, groups * a.keys)
    table.layer(f"{name}.context", "matmul", oc=groups * a.width, groups=groups, weight_bits=a.kv_bits, second=value)
    table.view(rows, 1, a.heads * a.width)
    table.layer(f"{name}.output", "dense", oc=width)
    table.layer(f"{name}.attention_add", "add", second=entry)


def _projection(table: Table, name: str, entry: Place, width: int, **columns: Any) -> Place:
    table.here = entry
    table.layer(name, "dense", oc=width, **columns)
    return table.here


def append_feed_forward(table: Table, name: str, inner: int) -> None:
    """Append two dense layers around a GELU, and the sum with what came in."""
    entry = table.here
    table.layer(f"{name}.ffn_up", "dense", oc=inner)
    table.layer(f"{name}.gelu", "lut")
    table.layer(f"{name}.ffn_down", "dense", oc=entry.shape[2])
    table.layer(f"{name}.ffn_add", "add", second=entry)


@dataclass(frozen=True, kw_only=True)
class Bert(Transformer):
    """The encoder of BERT (Devlin et al. 2019, section 3)."""

    sequence_length: int = 384

    def table(self) -> Table:
        """The encoder alone."""
        tokens = self.sequence_length
        table = Table(
            f"BERT encoder, {self.shape}, sequence length {tokens}: Devlin, Chang, Lee, Toutanova, BERT, NAACL 2019, section 3.",
            "Left out: layer normalization, embeddings, pooler and task head. " + FOLDED,
            f"{SOFTMAX_NOTE} The lut is GELU.",
            shape=(self.batch * tokens, 1, self.width),
            widths=self.widths,
        )
        self.encode(table, self.looking_at_itself(tokens))
        return table


@dataclass(frozen=True, kw_only=True)
class Vit(Transformer):
    """The vision transformer (Dosovitskiy et al. 2021, section 3.1, table 1)."""

    patch: int = 16
    resolution: int = 224
    classes: int = 1000

    def check(self) -> None:
        """As every transformer; the image is cut into whole patches."""
        super().check()
        check_resolution(self, self.resolution, self.patch)
        check_divides(self, "patch", "resolution")

    def table(self) -> Table:
        """Patches, a class token before them, and a classifier that reads that one."""
        tokens = (self.resolution // self.patch) ** 2 + 1
        table = Table(
            f"ViT, {self.shape}, image {self.resolution}x{self.resolution}, patch {self.patch}:",
            "Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1, table 1.",
            "Left out: layer normalization and position embeddings. " + FOLDED,
            f"The {tokens - 1} patches are joined by the class token: {tokens} rows, of which the classifier reads one.",
            f"{SOFTMAX_NOTE} The lut is GELU.",
            shape=(self.resolution, self.resolution, 3),
            n=self.batch,
            widths=self.widths,
        )
        table.conv("patches", self.width, kernel=self.patch, stride=self.patch)
        table.outside(self.batch * tokens, 1, self.width)
        self.encode(table, self.looking_at_itself(tokens))
        table.outside(self.batch, 1, self.width)
        table.layer("fc", "dense", oc=self.classes)
        table.layer("softmax", "softmax")
        return table
