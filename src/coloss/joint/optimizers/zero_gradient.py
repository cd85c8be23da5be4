"""What an optimizer does to a network whose gradient is 0."""

from __future__ import annotations

from keras import optimizers

from coloss.joint.optimizers.joint_optimizer import JointOptimizer


def keeps_moving(optimizer: optimizers.Optimizer | None, member: str) -> str | None:
    """Say how a member moves without a gradient; None where it stays as it is.

    Adam and its kin step along a running mean of gradients, and weight decay reads the
    weights alone. A member that the objective names with the coefficient 0 is a member
    with the gradient 0, to both.

    Args:
        optimizer: of the joint model; None: none.
        member: whose gradient is 0 while the coefficients are as they are.
    """
    if isinstance(optimizer, optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if isinstance(optimizer, JointOptimizer):
        optimizer = optimizer[member]
    ways = []
    if any(getattr(optimizer, name, 0.0) for name in ("momentum", "beta_1")):
        ways.append("the mean of earlier gradients that it keeps")
    if getattr(optimizer, "weight_decay", None):
        ways.append("weight decay")
    if not ways:
        return None
    return (
        f"{member!r} has gradient 0 while the coefficients are as they are, and "
        f"{type(optimizer).__name__} moves it all the same, by {' and '.join(ways)}. "
        f"To keep it as it is, freeze it (joint[{member!r}].trainable = False) and "
        "compile again."
    )
