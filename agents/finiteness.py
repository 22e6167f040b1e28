"""Explains why a learner step was skipped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from environments.arrays import Array


def not_finite(
    batch: Mapping[str, tf.Tensor | Array],
    metrics: Mapping[str, tf.Tensor | float],
) -> str:
    """Returns what was not finite in a skipped step, as the end of a sentence.

    It names the first cause only: a batch that is not finite makes the losses so, and they make the
    gradients so.

    Args:
        batch: The step's batch.
        metrics: The step's metrics.
    """
    arrays = {key: np.asarray(value) for key, value in batch.items()}
    inputs = [key for key, value in arrays.items() if not np.isfinite(value).all()]
    if inputs:
        return f"{', '.join(inputs)} in the batch from replay"
    measured = [name for name, value in metrics.items() if not np.isfinite(float(value))]
    losses = [name for name in measured if name.endswith("_loss")]
    norms = [name for name in measured if name.endswith("_gradient_norm")]
    effects = losses or norms or measured or ["something that no metric shows"]
    sizes = {key: float(np.abs(x).max()) for key, x in arrays.items() if x.dtype.kind == "f"}
    largest = max(sizes, key=lambda key: sizes[key])
    known = f"its largest number is {sizes[largest]:.2g}, among {largest}"
    return f"{', '.join(effects)}, although the batch is finite: {known}"
