"""Write the layer tables beside this file: every shape follows from the architecture's definition below."""

from __future__ import annotations

import argparse
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FORMAT_NOTE = (
    "Made by make_tables.py. Shapes only: h, w, c are the input's; layers run one after another.",
    "A matmul multiplies two activations: h rows, c = groups * k, oc = groups * n. Rectifiers are fused.",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer; the fields are the columns, in order. ``padding`` is ``same``, ``valid`` or a symmetric width."""

    name: str
    op: str
    n: int = 1
    h: int
    w: int
    c: int
    kh: int = 1
    kw: int = 1
    oc: int
    stride: int = 1
    dilation: int = 1
    padding: str | int = "valid"
    groups: int = 1
    weight_bits: int = 8
    activation_bits: int = 8

    @property
    def output(self) -> tuple[int, int, int]:
        """Height, width and channels of the layer's result."""
        return self._side(self.h, self.kh), self._side(self.w, self.kw), self.oc

    def _side(self, size: int, kernel: int) -> int:
        if self.padding == "same":
            return -(-size // self.stride)
        margin = 0 if self.padding == "valid" else int(self.padding)
        return (size + 2 * margin - self.dilation * (kernel - 1) - 1) // self.stride + 1


class Table:
    """Rows collected layer by layer; ``shape`` is the height, width and channels that the next layer reads."""

    def __init__(self, *source: str, shape: tuple[int, int, int]) -> None:
        self.source = source
        self.shape = shape
        self.rows: list[Row] = []

    def layer(self, name: str, op: str, *, oc: int = 0, **columns: int | str) -> None:
        """Append a layer that reads the current shape; ``oc`` 0 keeps the channel count."""
        h, w, c = self.shape
        row = Row(name=name, op=op, h=h, w=w, c=c, oc=oc or c, **columns)  # type: ignore[arg-type]
        self.rows.append(row)
        self.shape = row.output

    def conv(self, name: str, oc: int, *, kernel: int = 1, stride: int = 1, padding: str | int = 0) -> None:
        """Append a square convolution."""
        self.layer(name, "conv2d", oc=oc, kh=kernel, kw=kernel, stride=stride, padding=padding)

    def classifier(self, classes: int) -> None:
        """Append global average, dense layer and softmax."""
        h, w, _ = self.shape
        self.layer("mean", "mean", kh=h, kw=w)
        self.layer("fc", "dense", oc=classes)
        self.layer("softmax", "softmax")

    def text(self) -> str:
        """The table as CSV with leading comments."""
        comments = [f"# {line}" for line in (*self.source, *FORMAT_NOTE)]
        header = ",".join(field.name for field in fields(Row))
        return "\n".join([*comments, header, *(",".join(map(str, astuple(row))) for row in self.rows), ""])


def resnet50() -> Table:
    """ResNet-50 v1: the stride of a stage is in its first 1x1 convolution (He et al. 2016, table 1)."""
    table = Table(
        "ResNet-50 v1, ImageNet 224x224: He, Zhang, Ren, Sun,",
        "Deep Residual Learning for Image Recognition, CVPR 2016, table 1.",
        "v1: a stage's stride is in the first 1x1 convolution (v1.5 has it in the 3x3). Batch normalization is folded.",
        shape=(224, 224, 3),
    )
    table.conv("conv1", 64, kernel=7, stride=2, padding=3)
    table.layer("pool1", "max_pool", kh=3, kw=3, stride=2, padding=1)
    for stage, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), start=2):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 2 and block == 1 else 1
            _bottleneck(table, f"conv{stage}_{block}", width=width, stride=stride)
    table.classifier(1000)
    return table


def _bottleneck(table: Table, name: str, *, width: int, stride: int) -> None:
    entry = table.shape
    table.conv(f"{name}.reduce", width, stride=stride)
    table.conv(f"{name}.spatial", width, kernel=3, padding=1)
    table.conv(f"{name}.expand", 4 * width)
    if entry != table.shape:
        table.shape = entry
        table.conv(f"{name}.project", 4 * width, stride=stride)
    table.layer(f"{name}.add", "add")


# Expansion factor, channels, repeats, first stride: Sandler et al. 2018, table 2.
MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2() -> Table:
    """MobileNetV2 at width 1.0 (Sandler et al. 2018, tables 1 and 2)."""
    table = Table(
        "MobileNetV2, width 1.0, ImageNet 224x224: Sandler, Howard, Zhu, Zhmoginov, Chen,",
        "MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, tables 1 and 2.",
        "Batch normalization is folded.",
        shape=(224, 224, 3),
    )
    table.conv("stem", 32, kernel=3, stride=2, padding="same")
    block = 0
    for expansion, channels, repeats, first_stride in MOBILENET_V2:
        for repeat in range(repeats):
            block += 1
            stride = 1 if repeat else first_stride
            _inverted_residual(table, f"block{block}", expansion=expansion, channels=channels, stride=stride)
    table.conv("head", 1280, padding="same")
    table.classifier(1000)
    return table


def _inverted_residual(table: Table, name: str, *, expansion: int, channels: int, stride: int) -> None:
    entry = table.shape
    hidden = entry[2] * expansion
    if expansion > 1:
        table.conv(f"{name}.expand", hidden, padding="same")
    table.layer(f"{name}.depthwise", "depthwise_conv2d", kh=3, kw=3, stride=stride, padding="same", groups=hidden)
    table.conv(f"{name}.project", channels, padding="same")
    if entry == table.shape:
        table.layer(f"{name}.add", "add")


BERT_LAYERS, BERT_WIDTH, BERT_HEADS, BERT_TOKENS = 12, 768, 12, 384


def bert_base() -> Table:
    """The encoder of BERT-base at sequence length 384 (Devlin et al. 2019, section 3)."""
    table = Table(
        "BERT-base encoder, sequence length 384, batch 1: Devlin, Chang, Lee, Toutanova, BERT, NAACL 2019, section 3.",
        "Left out: layer normalization, embeddings, pooler and task head.",
        "Scaling by 1/sqrt(64) is folded into the scores.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
        shape=(BERT_TOKENS, 1, BERT_WIDTH),
    )
    for index in range(BERT_LAYERS):
        _attention(table, f"layer{index}")
        table.layer(f"layer{index}.ffn_up", "dense", oc=4 * BERT_WIDTH)
        table.layer(f"layer{index}.gelu", "lut")
        table.layer(f"layer{index}.ffn_down", "dense", oc=BERT_WIDTH)
        table.layer(f"layer{index}.ffn_add", "add")
    return table


def _attention(table: Table, name: str) -> None:
    tokens, _, width = table.shape
    for projection in ("query", "key", "value"):
        table.layer(f"{name}.{projection}", "dense", oc=width)
    table.layer(f"{name}.scores", "matmul", oc=BERT_HEADS * tokens, groups=BERT_HEADS)
    table.shape = (tokens, BERT_HEADS, tokens)
    table.layer(f"{name}.softmax", "softmax")
    table.shape = (tokens, 1, BERT_HEADS * tokens)
    table.layer(f"{name}.context", "matmul", oc=width, groups=BERT_HEADS)
    table.layer(f"{name}.output", "dense", oc=width)
    table.layer(f"{name}.attention_add", "add")


def alexnet_conv1_scalesim() -> Table:
    """AlexNet's first layer with the output size that SCALE-Sim computes for it: 55x55."""
    ifmap, kernel, stride = 224, 11, 4
    ofmap = -(-(ifmap - kernel + stride) // stride)  # SCALE-Sim rounds up, so its last window hangs over the edge
    side = (ofmap - 1) * stride + kernel
    table = Table(
        "AlexNet conv1 as in SCALE-Sim's topology file (ifmap 224x224, filter 11x11, C 3, K 96, stride 4):",
        "Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.5; Samajdar et al., SCALE-Sim, arXiv:1811.02883.",
        f"SCALE-Sim takes ceil((224 - 11 + 4) / 4) = {ofmap} output rows and columns, {ofmap * ofmap} pixels.",
        "A convolution without padding rounds down and yields one less for an input of 224;",
        f"it yields the same {ofmap} for an input of {side}, so the row says {side}.",
        shape=(side, side, 3),
    )
    table.conv("conv1", 96, kernel=kernel, stride=stride, padding="valid")
    return table


TABLES = {maker.__name__: maker for maker in (resnet50, mobilenet_v2, bert_base, alexnet_conv1_scalesim)}


def main() -> None:
    """Write every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    for name, maker in TABLES.items():
        (out / f"{name}.csv").write_text(maker().text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
