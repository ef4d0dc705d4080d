"""Train the digits CNN, convert it to int8 and 16x8 TFLite, and store its test set; see README.md beside this file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from names import named
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 1797
TEST_FRACTION = 0.25  # 450 of the 1797 images
PIXEL_MAX = 16.0  # load_digits counts the set pixels of 4x4 blocks
CALIBRATION_IMAGES = 256
EPOCHS = 60
BATCH = 32
INT16X8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


def load_split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Train images, test images (N, 8, 8, 1) float32 in [0, 1], train labels, test labels (N,) int64."""
    digits = load_digits()
    images = (digits.images / PIXEL_MAX).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int64)
    return tuple(train_test_split(images, labels, test_size=TEST_FRACTION, random_state=SEED, stratify=labels))


def conv_norm_relu(x: keras.KerasTensor, layer: keras.Layer) -> keras.KerasTensor:
    """Convolution, batch normalization (folded by the converter) and ReLU."""
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(layer(x)))


def build(*, batch: int | None) -> keras.Model:
    """Conv, depthwise-separable block, average pool, residual block, global mean, dense, softmax: 198 976 MACs."""
    same = {"padding": "same", "use_bias": False}
    image = keras.Input((8, 8, 1), batch_size=batch, name="image")
    x = conv_norm_relu(image, keras.layers.Conv2D(16, 3, **same))
    x = conv_norm_relu(x, keras.layers.DepthwiseConv2D(3, **same))
    x = conv_norm_relu(x, keras.layers.Conv2D(32, 1, **same))
    x = skip = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(32, 3, **same)(x))
    x = keras.layers.ReLU()(keras.layers.Add()([skip, x]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(10, name="logits")(x)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(logits))


def train(images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A trained model of batch size 1."""
    free = build(batch=None)
    steps = EPOCHS * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    free.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    free.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    fixed = build(batch=1)
    fixed.set_weights(free.get_weights())
    return fixed


def representative(images: np.ndarray) -> Callable[[], Iterator[list[np.ndarray]]]:
    """Calibration data for the converter: the first training images, one at a time."""

    def batches() -> Iterator[list[np.ndarray]]:
        for image in images[:CALIBRATION_IMAGES]:
            yield [image[None]]

    return batches


def convert(model: keras.Model, images: np.ndarray, *, ops: tf.lite.OpsSet, io_type: tf.DType) -> bytes:
    """A full-integer TFLite file whose input and output have type ``io_type``, its tensors named after the layers."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative(images)
    converter.target_spec.supported_ops = [ops]
    converter.inference_input_type = io_type
    converter.inference_output_type = io_type
    return named(converter.convert())


def interpreter(model: bytes) -> tf.lite.Interpreter:
    """The reference kernels on one model, ready to be invoked."""
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
    made = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    made.allocate_tensors()
    return made


def quantize(images: np.ndarray, model: bytes) -> np.ndarray:
    """Float images as codes of the model's input: round(x / scale) + zero point, clamped to the input's type."""
    detail = interpreter(model).get_input_details()[0]
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    codes = np.rint(images.astype(np.float64) / scale) + zero_point
    return np.clip(codes, limits.min, limits.max).astype(detail["dtype"])


def accuracy(model: bytes, codes: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest output code is at the label."""
    runner = interpreter(model)
    source, sink = runner.get_input_details()[0]["index"], runner.get_output_details()[0]["index"]
    correct = 0
    for image, label in zip(codes, labels, strict=True):
        runner.set_tensor(source, image[None])
        runner.invoke()
        correct += int(np.argmax(runner.get_tensor(sink)) == label)
    return correct / len(labels)


def main() -> None:
    """Write the two models and the test set; print sizes and accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    keras.utils.set_random_seed(SEED)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    train_images, test_images, train_labels, test_labels = load_split()
    model = train(train_images, train_labels)
    int8 = convert(model, train_images, ops=tf.lite.OpsSet.TFLITE_BUILTINS_INT8, io_type=tf.int8)
    int16x8 = convert(model, train_images, ops=INT16X8, io_type=tf.int16)
    for name, content in (("digits_cnn_int8", int8), ("digits_cnn_int16x8", int16x8)):
        (out / f"{name}.tflite").write_bytes(content)
        score = accuracy(content, quantize(test_images, content), test_labels)
        print(f"{name}: {len(content)} bytes, accuracy {score:.4f} on {len(test_labels)} images")
    np.savez_compressed(out / "digits_test.npz", input=quantize(test_images, int8), labels=test_labels)


if __name__ == "__main__":
    main()
