"""Transformers that make one token after another, GPT-2 and Llama: what their caches of keys and values move."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.families.network import check_divides
from accelsim.families.rows import Table
from accelsim.families.transformers import FOLDED, SOFTMAX_NOTE, Attention, Transformer, append_attention

DECODE = (
    "Decode: one token that attends to {context} cached keys and values, its own among them. Each layer reads its cache",
    "from outside, and its own new key and value leave the network, to be written.",
)
PREFILL = (
    "Prefill: all {context} tokens of the context at once, the causal mask not exploited.",
    "Keys and values leave the network, to be the cache of what follows.",
)


@dataclass(frozen=True, kw_only=True)
class Decoder(Transformer):
    """A transformer with a cache of ``context`` keys and values of ``kv_bits`` bits, and scores of a ``vocabulary`` at its end."""

    vocabulary: int = 50257
    context: int = 1024
    phase: str = "decode"
    kv_bits: int | None = None

    def attention(self, kv_heads: int) -> Attention:
        """What the tokens of this phase attend to."""
        decodes, bits = self.phase == "decode", self.kv_bits or self.activation_bits
        head = self.width // self.heads
        return Attention(self.batch, self.heads, kv_heads, head, self.context, bits, decodes, not decodes)

    def start(self, *source: str) -> Table:
        """The table that begins with this phase's tokens."""
        tokens = 1 if self.phase == "decode" else self.context
        mode = (line.format(context=self.context) for line in (DECODE if tokens == 1 else PREFILL))
        return Table(*source, *mode, shape=(self.batch * tokens, 1, self.width), widths=self.widths)

    def finish(self, table: Table) -> Table:
        """Append the scores of the vocabulary for the last token."""
        table.outside(self.batch, 1, self.width)
        table.layer("vocabulary", "dense", oc=self.vocabulary)
        return table


@dataclass(frozen=True, kw_only=True)
class Gpt2(Decoder):
    """GPT-2 (Radford et al. 2019, section 2.3, table 2)."""

    def table(self) -> Table:
        """One step of the phase."""
        table = self.start(
            f"GPT-2, {self.shape}: Radford, Wu, Child, Luan, Amodei, Sutskever,",
            "Language Models are Unsupervised Multitask Learners, OpenAI 2019, section 2.3, table 2.",
            "Left out: layer normalization and embeddings. " + FOLDED,
            f"{SOFTMAX_NOTE} The lut is GELU.",
            "The vocabulary's scores are computed for the last token, with the embedding's weights.",
        )
        self.encode(table, self.attention(self.heads))
        return self.finish(table)


@dataclass(frozen=True, kw_only=True)
class Llama(Decoder):
    """Llama: gated feed-forward layers, queries that share keys (Touvron et al. 2023, arXiv:2302.13971 and 2307.09288)."""

    layers: int = 32
    width: int = 4096
    heads: int = 32
    kv_heads: int = 32
    feed_forward: int | None = 11008
    vocabulary: int = 32000
    context: int = 4096

    def check(self) -> None:
        """As every transformer; equally many heads share each of keys."""
        super().check()
        check_divides(self, "kv_heads", "heads")

    def table(self) -> Table:
        """One step of the phase."""
        table = self.start(
            f"Llama, {self.shape}, {self.kv_heads} of keys and values: Touvron et al., LLaMA, arXiv:2302.13971, section 2.2, and Llama 2,",
            "arXiv:2307.09288, section 2.2 (grouped queries). " + FOLDED,
            "Left out: root-mean-square normalization, rotary positions, embeddings.",
            f"{SOFTMAX_NOTE} The lut is SiLU.",
            "The vocabulary's scores are computed for the last token.",
        )
        for index in range(self.layers):
            append_attention(table, f"layer{index}", self.attention(self.kv_heads))
            _gated_feed_forward(table, f"layer{index}", self.inner)
        return self.finish(table)


def _gated_feed_forward(table: Table, name: str, inner: int) -> None:
    """SwiGLU: one half of the first dense layer, through SiLU, multiplies the other (Shazeer 2020, arXiv:2002.05202)."""
    entry = table.here
    table.layer(f"{name}.ffn_gate", "dense", oc=inner)
    table.layer(f"{name}.silu", "lut")
    gate, table.here = table.here, entry
    table.layer(f"{name}.ffn_up", "dense", oc=inner)
    table.layer(f"{name}.ffn_mul", "mul", second=gate)
    table.layer(f"{name}.ffn_down", "dense", oc=entry.shape[2])
    table.layer(f"{name}.ffn_add", "add", second=entry)
