"""The networks together: one model, one objective, one `fit`."""

from coloss.joint.model import JointModel
from coloss.joint.optimizers.joint_optimizer import JointOptimizer
from coloss.joint.steps.non_finite import NonFiniteLossError

__all__ = ["JointModel", "JointOptimizer", "NonFiniteLossError"]
