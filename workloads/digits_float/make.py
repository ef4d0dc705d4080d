"""Train the packaged float digits network with PyTorch and write it as ONNX, batch normalization and all.

pip install torch onnx scikit-learn
python make.py        # rewrites digits_float.onnx, digits_float_calib.npz and digits_float_test.npz beside this file
python make.py --multiplier 0.5 --folder /tmp/half   # another depth multiplier, elsewhere

The graph is written node by node rather than exported: an exporter folds batch normalization, which `accelsim quantize` is there
to do. The split is that of digits_cnn: 1347 training images, of which the first 128 are the calibration data, and 450 test images.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
SEED = 1797
TEST_IMAGES = 450
CALIBRATION_IMAGES = 128
PIXEL_MAX = 16.0  # load_digits counts the set pixels of 4x4 blocks
EPOCHS, BATCH, LEARNING_RATE = 60, 32, 3e-3
OPSET, IR_VERSION = 17, 8


def conv_norm(inputs: int, outputs: int, size: int, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps rows and columns, and batch normalization."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Digits(nn.Module):
    """Convolution, depthwise-separable block, average pool, residual block, global mean, dense: 198 976 MACs at ``multiplier`` 1,
    by which all numbers of channels are multiplied."""

    def __init__(self, multiplier: float = 1.0) -> None:
        super().__init__()
        few, many = round(16 * multiplier), round(32 * multiplier)
        self.stem, self.depthwise, self.pointwise = (
            conv_norm(1, few, 3),
            conv_norm(few, few, 3, few),
            conv_norm(few, many, 1),
        )
        self.residual, self.classifier = conv_norm(many, many, 3), nn.Linear(many, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in (self.stem, self.depthwise, self.pointwise):
            x = torch.relu(block(x))
        x = nn.functional.avg_pool2d(x, 2)
        x = torch.relu(x + self.residual(x))
        return self.classifier(x.mean((2, 3)))


def train(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> None:
    """Adam on cross-entropy under a cosine schedule."""
    x, y = torch.tensor(images), torch.tensor(labels)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()


class Writer:
    """Nodes and initializers of one ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: torch.Tensor) -> str:
        self.constants.append(numpy_helper.from_array(values.detach().numpy(), name))
        return name

    def node(self, op: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def block(self, name: str, x: str, block: nn.Sequential) -> str:
        conv, norm = block
        size = conv.kernel_size[0]
        pads, groups = [size // 2] * 4, conv.groups
        weights = self.constant(f"{name}.weight", conv.weight)
        y = self.node("Conv", f"{name}.conv", x, weights, kernel_shape=[size] * 2, pads=pads, group=groups)
        parts = {"scale": norm.weight, "shift": norm.bias, "mean": norm.running_mean, "variance": norm.running_var}
        given = [self.constant(f"{name}.{part}", values) for part, values in parts.items()]
        return self.node("BatchNormalization", f"{name}.norm", y, *given, epsilon=norm.eps)


def onnx_model(model: Digits) -> onnx.ModelProto:
    """The trained network for one image (1, 1, 8, 8) in [0, 1], ten logits."""
    w = Writer()
    x = "image"
    for name in ("stem", "depthwise", "pointwise"):
        x = w.node("Relu", f"{name}.relu", w.block(name, x, getattr(model, name)))
    x = w.node("AveragePool", "pool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = w.node("Relu", "residual.relu", w.node("Add", "residual.add", x, w.block("residual", x, model.residual)))
    x = w.node("Flatten", "flat", w.node("GlobalAveragePool", "mean", x))
    linear = model.classifier
    weight, bias = w.constant("logits.weight", linear.weight), w.constant("logits.bias", linear.bias)
    w.node("Gemm", "logits", x, weight, bias, transB=1)
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 1, 8, 8]), ("logits", [1, 10]))
    ]
    graph = helper.make_graph(w.nodes, "digits_float", ports[:1], ports[1:], w.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    made.producer_name = "accelsim workloads/digits_float/make.py"
    onnx.checker.check_model(made)
    return made


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--multiplier", type=float, default=1.0)
    options.add_argument("--folder", type=Path, default=HERE)
    given = options.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    digits = load_digits()
    images = (digits.images / PIXEL_MAX).astype(np.float32)[:, None]
    x, x_test, y, y_test = train_test_split(
        images, digits.target, test_size=TEST_IMAGES, random_state=SEED, stratify=digits.target
    )
    model = Digits(given.multiplier)
    train(model, x, y)
    model.eval()
    (given.folder / "digits_float.onnx").write_bytes(onnx_model(model).SerializeToString())
    np.savez_compressed(given.folder / "digits_float_calib.npz", input=x[:CALIBRATION_IMAGES])
    np.savez_compressed(given.folder / "digits_float_test.npz", input=x_test, labels=y_test.astype(np.int64))
    with torch.no_grad():
        print(f"accuracy {np.mean(model(torch.tensor(x_test)).numpy().argmax(1) == y_test):.2%}")


if __name__ == "__main__":
    main()
