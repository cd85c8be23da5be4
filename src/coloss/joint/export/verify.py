"""Whether an ONNX file gives the outputs of the model it came from."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from coloss.joint.export.write import Structure

# Where an axis other than the batch is open.
OPEN_SIZE = 8
BATCHES = (1, 3)


def largest_difference(
    model: keras.Model, path: Path, signature: list[Structure]
) -> tuple[float, bool]:
    """Compare a file with its model on random rows, with onnxruntime.

    Args:
        model: what was written.
        path: the ONNX file.
        signature: shapes and dtypes of the inputs.

    Returns:
        The largest absolute difference, and whether all are within 1e-3 of the
        outputs, relative above 1. Floats are normal, integers 0 or 1.
    """
    import onnxruntime

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), quiet, providers=["CPUExecutionProvider"]
    )
    specs = keras.tree.flatten(signature)
    names = [spec.name for spec in specs]
    # By name: an exporter leaves out inputs that nothing reads.
    if not {one.name for one in session.get_inputs()} <= set(names):
        names = [one.name for one in session.get_inputs()]
    random = np.random.default_rng(0)
    worst, close = 0.0, True
    for rows in BATCHES:
        leaves = [_random(spec, rows, random) for spec in specs]
        feed = dict(zip(names, leaves, strict=False))
        feed = {one.name: feed[one.name] for one in session.get_inputs()}
        found = session.run(None, feed)
        call = keras.tree.pack_sequence_as(signature, leaves)
        outputs = keras.tree.flatten(model(*call, training=False))
        expected = [keras.ops.convert_to_numpy(output) for output in outputs]
        for one, other in zip(found, expected, strict=True):
            worst = max(worst, float(np.max(np.abs(one - other), initial=0.0)))
            close &= bool(np.allclose(one, other, rtol=1e-3, atol=1e-3))
    return worst, close


def _random(
    spec: keras.InputSpec, rows: int, random: np.random.Generator
) -> np.ndarray:
    first, *others = spec.shape
    shape = [rows if first is None else first]
    shape += [OPEN_SIZE if size is None else size for size in others]
    if keras.backend.is_float_dtype(spec.dtype):
        return random.normal(size=shape).astype(spec.dtype)
    return random.integers(0, 2, size=shape).astype(spec.dtype)
