"""Write the layer tables beside this file: every shape follows from the architecture's definition below."""

from __future__ import annotations

import argparse
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FORMAT_NOTE = (
    "Made by make_tables.py. Shapes only: h, w, c are the input's; inputs are the layers whose results it reads, - one from outside.",
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
    inputs: str = ""

    @property
    def output(self) -> tuple[int, int, int]:
        """Height, width and channels of the layer's result."""
        return self._side(self.h, self.kh), self._side(self.w, self.kw), self.oc

    def _side(self, size: int, kernel: int) -> int:
        if self.padding == "same":
            return -(-size // self.stride)
        margin = 0 if self.padding == "valid" else int(self.padding)
        return (size + 2 * margin - self.dilation * (kernel - 1) - 1) // self.stride + 1


@dataclass(frozen=True)
class Place:
    """What a layer can read: a tensor's height, width and channels, and the layer that made it (``-``: from outside)."""

    shape: tuple[int, int, int]
    made: str = "-"


class Table:
    """Rows collected layer by layer; ``here`` is what the next layer reads."""

    def __init__(self, *source: str, shape: tuple[int, int, int]) -> None:
        self.source = source
        self.here = Place(shape)
        self.rows: list[Row] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels that the next layer reads."""
        return self.here.shape

    def layer(self, name: str, op: str, *, oc: int = 0, second: Place | None = None, **columns: int | str) -> None:
        """Append a layer that reads the current place, and ``second``; ``oc`` 0 keeps the channel count."""
        h, w, c = self.shape
        made = [place.made for place in (self.here, second) if place]
        inputs = "" if set(made) == {"-"} else " ".join(made)
        row = Row(name=name, op=op, h=h, w=w, c=c, oc=oc or c, inputs=inputs, **columns)  # type: ignore[arg-type]
        self.rows.append(row)
        self.here = Place(row.output, name)

    def view(self, *shape: int) -> None:
        """Let the next layer read the same values in another shape."""
        h, w, c = shape
        self.here = Place((h, w, c), self.here.made)

    def outside(self, *shape: int) -> None:
        """Let the next layer read what no layer of the table made."""
        h, w, c = shape
        self.here = Place((h, w, c))

    def conv(self, name: str, oc: int, *, kernel: int = 1, stride: int = 1, padding: str | int = 0) -> None:
        """Append a square convolution."""
        self.layer(name, "conv2d", oc=oc, kh=kernel, kw=kernel, stride=stride, padding=padding)

    def depthwise(self, name: str, *, kernel: int, stride: int) -> None:
        """Append a square depthwise convolution with padding ``same``."""
        sides = {"kh": kernel, "kw": kernel, "stride": stride, "groups": self.shape[2]}
        self.layer(name, "depthwise_conv2d", padding="same", **sides)

    def flatten(self) -> None:
        """Let the next layer read one row of all values."""
        h, w, c = self.shape
        self.view(1, 1, h * w * c)

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
    entry = table.here
    table.conv(f"{name}.reduce", width, stride=stride)
    table.conv(f"{name}.spatial", width, kernel=3, padding=1)
    table.conv(f"{name}.expand", 4 * width)
    _shortcut(table, name, entry, width=4 * width, stride=stride)


def _shortcut(table: Table, name: str, entry: Place, *, width: int, stride: int) -> None:
    """Add what came in, through a 1x1 convolution where its shape differs."""
    made = table.here
    if entry.shape != made.shape:
        table.here = entry
        table.conv(f"{name}.project", width, stride=stride)
        entry, table.here = table.here, made
    table.layer(f"{name}.add", "add", second=entry)


def resnet18() -> Table:
    """ResNet-18: two 3x3 convolutions per block (He et al. 2016, table 1)."""
    table = Table(
        "ResNet-18, ImageNet 224x224: He, Zhang, Ren, Sun,",
        "Deep Residual Learning for Image Recognition, CVPR 2016, table 1.",
        "Shortcuts that change the shape are 1x1 convolutions (option B). Batch normalization is folded.",
        shape=(224, 224, 3),
    )
    table.conv("conv1", 64, kernel=7, stride=2, padding=3)
    table.layer("pool1", "max_pool", kh=3, kw=3, stride=2, padding=1)
    for stage, width in enumerate((64, 128, 256, 512), start=2):
        for block in (1, 2):
            _basic_block(table, f"conv{stage}_{block}", width=width, stride=2 if stage > 2 and block == 1 else 1)
    table.classifier(1000)
    return table


def _basic_block(table: Table, name: str, *, width: int, stride: int) -> None:
    entry = table.here
    table.conv(f"{name}.first", width, kernel=3, stride=stride, padding=1)
    table.conv(f"{name}.second", width, kernel=3, padding=1)
    _shortcut(table, name, entry, width=width, stride=stride)


def vgg16() -> Table:
    """VGG configuration D: 13 convolutions and 3 dense layers (Simonyan and Zisserman 2015, table 1)."""
    table = Table(
        "VGG-16 (configuration D), ImageNet 224x224: Simonyan, Zisserman,",
        "Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, table 1.",
        shape=(224, 224, 3),
    )
    for stage, (width, convolutions) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for index in range(1, convolutions + 1):
            table.conv(f"conv{stage}_{index}", width, kernel=3, padding=1)
        table.layer(f"pool{stage}", "max_pool", kh=2, kw=2, stride=2)
    table.flatten()
    for index, units in enumerate((4096, 4096, 1000), start=6):
        table.layer(f"fc{index}", "dense", oc=units)
    table.layer("softmax", "softmax")
    return table


def alexnet() -> Table:
    """AlexNet with the two groups of its two GPUs (Krizhevsky et al. 2012, section 3.5)."""
    table = Table(
        "AlexNet, ImageNet: Krizhevsky, Sutskever, Hinton,",
        "ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012, section 3.5.",
        "The paper's 224x224 input yields its 55x55 output only as 227x227. conv2, conv4 and conv5 have two groups.",
        "Left out: local response normalization.",
        shape=(227, 227, 3),
    )
    table.conv("conv1", 96, kernel=11, stride=4)
    table.layer("pool1", "max_pool", kh=3, kw=3, stride=2)
    table.layer("conv2", "conv2d", oc=256, kh=5, kw=5, padding=2, groups=2)
    table.layer("pool2", "max_pool", kh=3, kw=3, stride=2)
    for name, channels, groups in (("conv3", 384, 1), ("conv4", 384, 2), ("conv5", 256, 2)):
        table.layer(name, "conv2d", oc=channels, kh=3, kw=3, padding=1, groups=groups)
    table.layer("pool5", "max_pool", kh=3, kw=3, stride=2)
    table.flatten()
    for index, units in enumerate((4096, 4096, 1000), start=6):
        table.layer(f"fc{index}", "dense", oc=units)
    table.layer("softmax", "softmax")
    return table


# Output channels and stride of each depthwise separable layer: Howard et al. 2017, table 1.
MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet_v1() -> Table:
    """MobileNet at width 1.0 (Howard et al. 2017, table 1)."""
    table = Table(
        "MobileNet (V1), width 1.0, ImageNet 224x224: Howard et al., MobileNets: Efficient Convolutional Neural Networks",
        "for Mobile Vision Applications, arXiv:1704.04861, table 1. Batch normalization is folded.",
        "The table prints stride 2 for the last depthwise layer, whose input and output are both 7x7: it is 1.",
        shape=(224, 224, 3),
    )
    table.conv("stem", 32, kernel=3, stride=2, padding="same")
    for block, (channels, stride) in enumerate(MOBILENET_V1, start=1):
        table.depthwise(f"block{block}.depthwise", kernel=3, stride=stride)
        table.conv(f"block{block}.pointwise", channels, padding="same")
    table.classifier(1000)
    return table


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


def _inverted_residual(table: Table, name: str, *, expansion: int, channels: int, stride: int, kernel: int = 3) -> None:
    entry = table.here
    hidden = entry.shape[2] * expansion
    if expansion > 1:
        table.conv(f"{name}.expand", hidden, padding="same")
    table.depthwise(f"{name}.depthwise", kernel=kernel, stride=stride)
    table.conv(f"{name}.project", channels, padding="same")
    if entry.shape == table.shape:
        table.layer(f"{name}.add", "add", second=entry)


# Kernel, expansion channels, channels, squeeze-and-excite, h-swish, stride: Howard et al. 2019, table 1.
MOBILENET_V3_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def mobilenet_v3_large() -> Table:
    """MobileNetV3-Large at width 1.0 (Howard et al. 2019, table 1)."""
    table = Table(
        "MobileNetV3-Large, width 1.0, ImageNet 224x224: Howard et al., Searching for MobileNetV3, ICCV 2019, table 1.",
        "Squeeze-and-excite narrows to a quarter of the expansion, rounded to a multiple of 8. Batch normalization is folded.",
        "A lut is h-swish or the hard sigmoid; a scale multiplies each channel by a factor of its own.",
        shape=(224, 224, 3),
    )
    table.conv("stem", 16, kernel=3, stride=2, padding="same")
    table.layer("stem.swish", "lut")
    for block, columns in enumerate(MOBILENET_V3_LARGE, start=1):
        _mobile_block(table, f"block{block}", columns)
    table.conv("head", 960, padding="same")
    table.layer("head.swish", "lut")
    h, w, _ = table.shape
    table.layer("mean", "mean", kh=h, kw=w)
    table.layer("wide", "dense", oc=1280)
    table.layer("wide.swish", "lut")
    table.layer("fc", "dense", oc=1000)
    table.layer("softmax", "softmax")
    return table


def _mobile_block(table: Table, name: str, columns: tuple[int, int, int, bool, bool, int]) -> None:
    kernel, hidden, channels, squeeze, swish, stride = columns
    entry = table.here
    if hidden != entry.shape[2]:
        table.conv(f"{name}.expand", hidden, padding="same")
        _activation(table, f"{name}.expand", swish)
    table.depthwise(f"{name}.depthwise", kernel=kernel, stride=stride)
    _activation(table, f"{name}.depthwise", swish)
    if squeeze:
        _squeeze_and_excite(table, name)
    table.conv(f"{name}.project", channels, padding="same")
    if entry.shape == table.shape:
        table.layer(f"{name}.add", "add", second=entry)


def _activation(table: Table, name: str, swish: bool) -> None:
    if swish:
        table.layer(f"{name}.swish", "lut")


def _squeeze_and_excite(table: Table, name: str) -> None:
    whole, (h, w, c) = table.here, table.shape
    table.layer(f"{name}.squeeze", "mean", kh=h, kw=w)
    table.layer(f"{name}.reduce", "dense", oc=_multiple_of_eight(c / 4))
    table.layer(f"{name}.excite", "dense", oc=c)
    table.layer(f"{name}.gate", "lut")
    factors, table.here = table.here, whole
    table.layer(f"{name}.scale", "scale", second=factors)


def _multiple_of_eight(channels: float) -> int:
    """The nearest multiple of 8, or the next one where that is more than a tenth less (Sandler et al. 2018, code)."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


# Kernel, expansion factor, channels, repeats, first stride: Tan and Le 2019, table 1.
EFFICIENTNET_B0 = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def efficientnet_lite0() -> Table:
    """EfficientNet-lite0: EfficientNet-B0 with ReLU6 and without squeeze-and-excite (Tan and Le 2019, table 1)."""
    table = Table(
        "EfficientNet-lite0, ImageNet 224x224: Tan, Le, EfficientNet, ICML 2019, table 1, without squeeze-and-excite and",
        "with ReLU6 for swish (github.com/tensorflow/tpu, models/official/efficientnet/lite). Batch normalization is folded.",
        shape=(224, 224, 3),
    )
    table.conv("stem", 32, kernel=3, stride=2, padding="same")
    block = 0
    for kernel, expansion, channels, repeats, first_stride in EFFICIENTNET_B0:
        for repeat in range(repeats):
            block += 1
            stride = 1 if repeat else first_stride
            _inverted_residual(
                table, f"block{block}", expansion=expansion, channels=channels, stride=stride, kernel=kernel
            )
    table.conv("head", 1280, padding="same")
    table.classifier(1000)
    return table


WIDTH, HEADS, LAYERS = 768, 12, 12
"""Of BERT-base, ViT-B and GPT-2 small alike."""
BERT_TOKENS = 384


def bert_base() -> Table:
    """The encoder of BERT-base at sequence length 384 (Devlin et al. 2019, section 3)."""
    table = Table(
        "BERT-base encoder, sequence length 384, batch 1: Devlin, Chang, Lee, Toutanova, BERT, NAACL 2019, section 3.",
        "Left out: layer normalization, embeddings, pooler and task head.",
        "Scaling by 1/sqrt(64) is folded into the scores.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
        shape=(BERT_TOKENS, 1, WIDTH),
    )
    for index in range(LAYERS):
        _transformer_layer(table, f"layer{index}", keys=BERT_TOKENS)
    return table


def _transformer_layer(table: Table, name: str, *, keys: int) -> None:
    _attention(table, name, keys=keys)
    entry = table.here
    table.layer(f"{name}.ffn_up", "dense", oc=4 * WIDTH)
    table.layer(f"{name}.gelu", "lut")
    table.layer(f"{name}.ffn_down", "dense", oc=WIDTH)
    table.layer(f"{name}.ffn_add", "add", second=entry)


def _attention(table: Table, name: str, *, keys: int) -> None:
    entry, (tokens, _, width) = table.here, table.shape
    query, key, value = (_projection(table, f"{name}.{part}", entry) for part in ("query", "key", "value"))
    if keys != tokens:  # they come from a cache
        key = value = Place((keys, 1, width))
    table.here = query
    table.layer(f"{name}.scores", "matmul", oc=HEADS * keys, groups=HEADS, second=key)
    table.view(tokens, HEADS, keys)
    table.layer(f"{name}.softmax", "softmax")
    table.view(tokens, 1, HEADS * keys)
    table.layer(f"{name}.context", "matmul", oc=width, groups=HEADS, second=value)
    table.layer(f"{name}.output", "dense", oc=width)
    table.layer(f"{name}.attention_add", "add", second=entry)


def _projection(table: Table, name: str, entry: Place) -> Place:
    table.here = entry
    table.layer(name, "dense", oc=entry.shape[2])
    return table.here


def vit_b16() -> Table:
    """ViT-B/16 at 224x224: 196 patches and a class token (Dosovitskiy et al. 2021, table 1)."""
    table = Table(
        "ViT-B/16, ImageNet 224x224: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1, table 1.",
        "Left out: layer normalization and position embeddings. Scaling by 1/sqrt(64) is folded into the scores.",
        "The 196 patches are joined by the class token: 197 rows, of which the classifier reads one.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
        shape=(224, 224, 3),
    )
    table.conv("patches", WIDTH, kernel=16, stride=16)
    h, w, _ = table.shape
    tokens = h * w + 1
    table.outside(tokens, 1, WIDTH)
    for index in range(LAYERS):
        _transformer_layer(table, f"layer{index}", keys=tokens)
    table.outside(1, 1, WIDTH)
    table.layer("fc", "dense", oc=1000)
    table.layer("softmax", "softmax")
    return table


GPT2_CONTEXT, GPT2_VOCABULARY = 1024, 50257


def gpt2_small_prefill() -> Table:
    """GPT-2 small reads its whole context of 1024 tokens (Radford et al. 2019, table 2)."""
    return _gpt2(
        GPT2_CONTEXT, f"Prefill: all {GPT2_CONTEXT} tokens of the context at once, the causal mask not exploited."
    )


def gpt2_small_decode() -> Table:
    """GPT-2 small makes one token with 1024 tokens in its key and value caches (Radford et al. 2019, table 2)."""
    return _gpt2(1, f"Decode: one token that attends to {GPT2_CONTEXT} cached keys and values, its own among them.")


def _gpt2(tokens: int, mode: str) -> Table:
    table = Table(
        "GPT-2 small, batch 1: Radford, Wu, Child, Luan, Amodei, Sutskever,",
        "Language Models are Unsupervised Multitask Learners, OpenAI 2019, section 2.3, table 2 (first row).",
        mode,
        "Left out: layer normalization and embeddings. Scaling by 1/sqrt(64) is folded into the scores.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
        "The vocabulary's scores are computed for the last token, with the embedding's weights.",
        shape=(tokens, 1, WIDTH),
    )
    for index in range(LAYERS):
        _transformer_layer(table, f"layer{index}", keys=GPT2_CONTEXT)
    table.outside(1, 1, WIDTH)
    table.layer("vocabulary", "dense", oc=GPT2_VOCABULARY)
    return table


def _tpu_source(application: str, published: str) -> tuple[str, ...]:
    return (
        f"{application} of TPUv1's six applications: Jouppi et al., In-Datacenter Performance Analysis of a Tensor",
        f"Processing Unit, ISCA 2017 (arXiv:1704.04760), table 1: {published}.",
        "The shapes of its layers are not published: they are all alike here, and make up the published total.",
    )


def _tpu_dense(application: str, published: str, *, layers: int, width: int, batch: int) -> Table:
    note = "Left out: vector layers, whose sizes are not published."
    table = Table(*_tpu_source(application, published), note, shape=(batch, 1, width))
    for index in range(1, layers + 1):
        table.layer(f"fc{index}", "dense", oc=width)
    return table


def tpu_mlp0() -> Table:
    """5 dense layers of 20 M weights: 5 * 2000^2."""
    return _tpu_dense("MLP0", "5 FC layers, 20 M weights, batch 200", layers=5, width=2000, batch=200)


def tpu_mlp1() -> Table:
    """4 dense layers of 5 M weights: 4 * 1118^2."""
    return _tpu_dense("MLP1", "4 FC layers, 5 M weights, batch 168", layers=4, width=1118, batch=168)


def tpu_lstm0() -> Table:
    """24 dense layers of 52 M weights: 24 * 1472^2."""
    return _tpu_dense("LSTM0", "24 FC and 34 vector layers, 52 M weights, batch 64", layers=24, width=1472, batch=64)


def tpu_lstm1() -> Table:
    """37 dense layers of 34 M weights: 37 * 959^2."""
    return _tpu_dense("LSTM1", "37 FC and 19 vector layers, 34 M weights, batch 96", layers=37, width=959, batch=96)


def tpu_cnn0() -> Table:
    """16 convolutions of 8 M weights, 16 * 9 * 236^2, each used 8 * 19^2 = 2888 times."""
    table = Table(
        *_tpu_source("CNN0", "16 convolutions, 8 M weights, batch 8, 2888 operations per weight byte"),
        "2888 / 8 = 361 output pixels per weight: 19x19 throughout, 3x3 windows.",
        shape=(19, 19, 236),
    )
    for index in range(1, 17):
        table.layer(f"conv{index}", "conv2d", n=8, oc=236, kh=3, kw=3, padding="same")
    return table


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


MAKERS = (
    alexnet, alexnet_conv1_scalesim, bert_base, efficientnet_lite0, gpt2_small_decode, gpt2_small_prefill, mobilenet_v1,
    mobilenet_v2, mobilenet_v3_large, resnet18, resnet50, tpu_cnn0, tpu_lstm0, tpu_lstm1, tpu_mlp0, tpu_mlp1, vgg16, vit_b16,
)  # fmt: skip
TABLES = {maker.__name__: maker for maker in MAKERS}


def main() -> None:
    """Write every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    for name, maker in TABLES.items():
        (out / f"{name}.csv").write_text(maker().text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
