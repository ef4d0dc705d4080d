"""Float networks as PyTorch users export them, of random weights: ``python torch_networks.py NAME FILE.onnx``, beside torchvision."""

import sys

import torch
import torchvision
from torch import nn


class Upward(nn.Module):
    """A U-Net of two levels: transposed convolutions, concatenated shortcuts."""

    def __init__(self):
        super().__init__()

        def twice(a, b):
            layers = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
            return nn.Sequential(*layers, nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())

        self.down, self.bottom, self.up = twice(3, 8), twice(8, 16), twice(16, 8)
        self.pool, self.grow, self.head = nn.MaxPool2d(2), nn.ConvTranspose2d(16, 8, 2, stride=2), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        first = self.down(x)
        low = self.bottom(self.pool(first))
        return self.head(self.up(torch.cat([first, self.grow(low)], 1)))


class Head(nn.Module):
    """Two scales of a YOLO-style detector: SiLU, upsampling, concatenation, boxes and scores of every cell in one tensor."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU())
        self.second = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.SiLU())
        self.grow, self.mix = nn.Upsample(scale_factor=2), nn.Sequential(nn.Conv2d(48, 16, 1), nn.SiLU())
        self.boxes, self.scores = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x):
        fine = self.first(x)
        mixed = self.mix(torch.cat([self.grow(self.second(fine)), fine], 1))
        cells = torch.cat([self.boxes(mixed), torch.sigmoid(self.scores(mixed))], 1)
        return cells.flatten(2).transpose(1, 2)


def rows():
    return torch.randn(1, 12, 32)


def image():
    return torch.randn(1, 3, 64, 64)


NETWORKS = {
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(width_mult=0.35), image),
    "mobilenet_v3_small": (lambda: torchvision.models.mobilenet_v3_small(width_mult=0.5), image),
    "efficientnet_b0": (lambda: torchvision.models.efficientnet_b0(), image),
    "resnet50": (lambda: torchvision.models.resnet50(width_per_group=16), image),
    "unet": (Upward, image),
    "yolo_head": (Head, image),
    "bert_block": (lambda: nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True), rows),
    "vit_block": (
        lambda: torchvision.models.vision_transformer.EncoderBlock(4, 32, 64, 0.0, 0.0, norm_layer=nn.LayerNorm),
        rows,
    ),
}


def randomized(network):
    """Statistics of batch normalization as a trained network has them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.3, 1.2)
    return network.eval()


if __name__ == "__main__":
    torch.manual_seed(0)
    make, given = NETWORKS[sys.argv[1]]
    torch.onnx.export(
        randomized(make()),
        (given(),),
        sys.argv[2],
        input_names=["x"],
        output_names=["y"],
        dynamo=True,
        external_data=False,
    )
