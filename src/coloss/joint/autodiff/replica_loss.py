"""The loss of one replica of several."""

from __future__ import annotations

import keras

from coloss.joint.autodiff import replicas
from coloss.typing import Tensor


def replica_scaled(loss: Tensor) -> Tensor:
    """Return the loss divided by the number of replicas that are in step.

    TensorFlow's strategies add up the replicas' gradients; elsewhere, and on one
    device, the loss is returned as it is.

    Args:
        loss: a scalar tensor.
    """
    number = replicas()
    return loss if number == 1 else loss / number


def refuse_replicas(model: keras.Model) -> None:
    """Refuse to weigh or combine in several replicas.

    Args:
        model: the joint model.

    Raises:
        ValueError: if it would see a part of each batch only.
    """
    auxiliary = getattr(model, "_auxiliary", None)
    if auxiliary is None or auxiliary.balance.plan.is_plain or replicas() == 1:
        return
    raise ValueError(
        "`weighting` and `aggregator` need the whole batch; under a TensorFlow "
        f"strategy each of the {replicas()} replicas sees a part of it and would go "
        "its own way. Train on one device, or on JAX with keras.distribution."
    )
