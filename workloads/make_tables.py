"""Write the layer tables beside this file: networks of ``accelsim.families`` at their published sizes, and others, defined below."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from accelsim.families import Table, append_stages, network_named


def _published(name: str, *source: str, **parameters: int | str) -> Table:
    """A network of a family; ``source`` is what its comments say."""
    table = network_named(name, **parameters).table()
    table.source = source
    return table


def resnet50() -> Table:
    """ResNet-50 v1: the stride of a stage is in its first 1x1 convolution (He et al. 2016, table 1)."""
    return _published(
        "resnet50",
        "ResNet-50 v1, ImageNet 224x224: He, Zhang, Ren, Sun,",
        "Deep Residual Learning for Image Recognition, CVPR 2016, table 1.",
        "v1: a stage's stride is in the first 1x1 convolution (v1.5 has it in the 3x3). Batch normalization is folded.",
    )


def resnet18() -> Table:
    """ResNet-18: two 3x3 convolutions per block (He et al. 2016, table 1)."""
    return _published(
        "resnet18",
        "ResNet-18, ImageNet 224x224: He, Zhang, Ren, Sun,",
        "Deep Residual Learning for Image Recognition, CVPR 2016, table 1.",
        "Shortcuts that change the shape are 1x1 convolutions (option B). Batch normalization is folded.",
    )


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


def mobilenet_v1() -> Table:
    """MobileNet at width 1.0 (Howard et al. 2017, table 1)."""
    return _published(
        "mobilenet_v1",
        "MobileNet (V1), width 1.0, ImageNet 224x224: Howard et al., MobileNets: Efficient Convolutional Neural Networks",
        "for Mobile Vision Applications, arXiv:1704.04861, table 1. Batch normalization is folded.",
        "The table prints stride 2 for the last depthwise layer, whose input and output are both 7x7: it is 1.",
    )


def mobilenet_v2() -> Table:
    """MobileNetV2 at width 1.0 (Sandler et al. 2018, tables 1 and 2)."""
    return _published(
        "mobilenet_v2",
        "MobileNetV2, width 1.0, ImageNet 224x224: Sandler, Howard, Zhu, Zhmoginov, Chen,",
        "MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, tables 1 and 2.",
        "Batch normalization is folded.",
    )


def mobilenet_v3_large() -> Table:
    """MobileNetV3-Large at width 1.0 (Howard et al. 2019, table 1)."""
    return _published(
        "mobilenet_v3_large",
        "MobileNetV3-Large, width 1.0, ImageNet 224x224: Howard et al., Searching for MobileNetV3, ICCV 2019, table 1.",
        "Squeeze-and-excite narrows to a quarter of the expansion, rounded to a multiple of 8. Batch normalization is folded.",
        "A lut is h-swish or the hard sigmoid; a scale multiplies each channel by a factor of its own.",
    )


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
    append_stages(table, EFFICIENTNET_B0)
    table.conv("head", 1280, padding="same")
    table.classifier(1000)
    return table


def bert_base() -> Table:
    """The encoder of BERT-base at sequence length 384 (Devlin et al. 2019, section 3)."""
    return _published(
        "bert_base",
        "BERT-base encoder, sequence length 384, batch 1: Devlin, Chang, Lee, Toutanova, BERT, NAACL 2019, section 3.",
        "Left out: layer normalization, embeddings, pooler and task head.",
        "Scaling by 1/sqrt(64) is folded into the scores.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
    )


def vit_b16() -> Table:
    """ViT-B/16 at 224x224: 196 patches and a class token (Dosovitskiy et al. 2021, table 1)."""
    return _published(
        "vit_base",
        "ViT-B/16, ImageNet 224x224: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1, table 1.",
        "Left out: layer normalization and position embeddings. Scaling by 1/sqrt(64) is folded into the scores.",
        "The 196 patches are joined by the class token: 197 rows, of which the classifier reads one.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
    )


def gpt2_small_prefill() -> Table:
    """GPT-2 small reads its whole context of 1024 tokens (Radford et al. 2019, table 2); its keys and values are not kept."""
    table = _gpt2("prefill", "Prefill: all 1024 tokens of the context at once, the causal mask not exploited.")
    table.rows = [replace(row, output="") for row in table.rows]
    return table


def gpt2_small_decode() -> Table:
    """GPT-2 small makes one token with 1024 tokens in its key and value caches (Radford et al. 2019, table 2)."""
    return _gpt2("decode", "Decode: one token that attends to 1024 cached keys and values, its own among them.")


def _gpt2(phase: str, mode: str) -> Table:
    return _published(
        "gpt2_small",
        "GPT-2 small, batch 1: Radford, Wu, Child, Luan, Amodei, Sutskever,",
        "Language Models are Unsupervised Multitask Learners, OpenAI 2019, section 2.3, table 2 (first row).",
        mode,
        "Left out: layer normalization and embeddings. Scaling by 1/sqrt(64) is folded into the scores.",
        "The softmax runs over c, one row per token (h) and head (w). The lut is GELU.",
        "The vocabulary's scores are computed for the last token, with the embedding's weights.",
        phase=phase,
    )


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
        (out / f"{name}.csv").write_text(maker().text(Path(__file__).name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
