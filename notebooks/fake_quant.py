# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does fake-quant match the integer hardware?
#
# A small network is trained here on scikit-learn's handwritten digits, quantized to 2 to 8 bits, and read twice: in floating
# point with every tensor quantized (fake-quant, what a training framework evaluates), and in the integers of a machine.

# %%
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

images, labels = load_digits(return_X_y=True)
train, test, train_labels, test_labels = train_test_split(images / 16, labels, test_size=400, random_state=0)
network = MLPClassifier((32,), max_iter=60, tol=0, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it stops after 60 rounds whether it has converged or not
    network.fit(train, train_labels)
print(f"floating point: {network.score(test, test_labels):.2%}")

# %% [markdown]
# Two dense layers as a Graph: weights symmetric, activations from 0 on, ranges by minimum and maximum over the training images.

# %%
from accelsim.graph import Dense, Graph, HostPort, MacGeometry, Tensor
from accelsim.numerics import INT8, IntFormat
from accelsim.quant import quantize, requantization_from_scales


def quantized(bits, scheme):
    """The network at ``bits`` bits, requantized by ``scheme``."""
    weight_format, codes = IntFormat(bits), IntFormat(bits, signed=False)
    hidden = np.maximum(train @ network.coefs_[0] + network.intercepts_[0], 0)
    scores = hidden @ network.coefs_[1] + network.intercepts_[1]
    s = [1 / codes.max, hidden.max() / codes.max, np.abs(scores).max() / INT8.max]
    s = [float(np.float32(scale)) for scale in s]
    tensors, layers, formats = {}, [], [codes, codes, INT8]
    for name, size, scale, fmt in zip(("image", "hidden", "scores"), (64, 32, 10), s, formats, strict=True):
        tensors[name] = Tensor(name, (1, size), fmt, 0, scale)
    for i, (source, target) in enumerate((("image", "hidden"), ("hidden", "scores"))):
        real = network.coefs_[i].T
        s_w = float(np.float32(np.abs(real).max() / max(weight_format.max, 1)))
        weights = quantize(real, scale=s_w, zero_point=0, fmt=weight_format)
        units, k = real.shape
        out = formats[i + 1]
        layers.append(
            Dense(
                name=f"dense_{i}",
                inputs=(source,),
                output=target,
                geometry=MacGeometry(n=1, ih=1, iw=1, ic=k, oh=1, ow=1, oc=units),
                weights=weights.reshape(units, 1, 1, k),
                weight_format=weight_format,
                bias=np.rint(network.intercepts_[i] / (s[i] * s_w)).astype(np.int64),
                requant=requantization_from_scales(
                    scheme, s_in=s[i], s_w=s_w, s_out=s[i + 1], zero_point=0, clamp_min=out.min, clamp_max=out.max
                ),
                weight_scales=np.array([s_w], np.float32),
            )
        )
    return Graph(
        name=f"digits_mlp_{bits}_bits",
        arithmetic="tflite-micro",
        tensors=tensors,
        layers=tuple(layers),
        inputs=(HostPort("image", "image", real=True),),
        outputs=(HostPort("scores", "scores"),),
    )


# %% [markdown]
# One call compares both readings, layer by layer with the oracle's own inputs, and end to end.

# %%
import accelsim

machine = accelsim.load_arch("edge_16x16").with_({"arithmetic": "tflite-micro"})
report = accelsim.verify(quantized(8, "tflite_double"), arch=machine, inputs=test[:, None], labels=test_labels)
print(report)
report

# %% [markdown]
# The same for each width. The machine rounds twice, as TensorFlow Lite Micro does, and the report says that this is why codes
# differ. With few bits the second rounding drops a bit or two only; then it moves many codes, and accuracy with them.

# %%
for bits in range(2, 9):
    found = accelsim.verify(quantized(bits, "tflite_double"), arch=machine, inputs=test[:, None], labels=test_labels)
    print(
        f"{bits} bits: fake-quant {found.output.oracle_accuracy:.2%}, machine {found.output.machine_accuracy:.2%}, "
        f"{found.differing} of {found.elements} codes differ: {found.causes()}"
    )

# %% [markdown]
# And with a requantizer that truncates, cheap hardware that saves the rounding: half of the codes are one too low.

# %%
cheap = accelsim.verify(quantized(8, "ethosu_truncate"), arch=machine, inputs=test[:, None], labels=test_labels)
for row in cheap.cause_rows():
    print(f"{row['layer']}: {row['step']}, expected {row['expected'] or 0:.0%}, seen {row['seen']:.1%}")

# %% [markdown]
# How narrow may the accumulators be? A machine whose accumulators could overflow brings a study of widths along.

# %%
import io

from IPython.display import Image

from accelsim.report.pictures import verification_plot

narrow = machine.with_({"accumulator.bits": 12, "accumulator.overflow": "wrap"})
widths = accelsim.verify(quantized(8, "tflite_double"), arch=narrow, inputs=test[:100, None], labels=test_labels[:100])
print(widths.widths.smallest, "bits hold every sum of these images,", widths.widths.proved, "bits any")
with io.BytesIO() as picture:
    verification_plot(widths).savefig(picture, format="png", dpi=80)
    shown = Image(picture.getvalue())
shown

# %% [markdown]
# From PyTorch or Brevitas it is the same call with the exported file:
#
# ```python
# torch.onnx.export(model, (x[:1],), "model.onnx", opset_version=17, dynamo=False)
# report = accelsim.verify("model.onnx", arch="edge_16x16", inputs=x.numpy(), labels=y.numpy(), arithmetic="onnxruntime")
# assert report.matches, report
# ```
