"""The networks together: one model, one objective, one `fit`."""

from coloss._backend import require_backend

# Before Keras is imported: its own words for a backend that is not there are others.
require_backend()

from coloss.joint.inputs.several import Inputs  # noqa: E402
from coloss.joint.model import JointModel  # noqa: E402
from coloss.joint.optimizers.joint_optimizer import JointOptimizer  # noqa: E402
from coloss.joint.recorded import Recorded  # noqa: E402
from coloss.joint.steps.non_finite import NonFiniteLossError  # noqa: E402

__all__ = ["Inputs", "JointModel", "JointOptimizer", "NonFiniteLossError", "Recorded"]
