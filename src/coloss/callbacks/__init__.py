"""What watches or keeps a joint model while it trains."""

from coloss.callbacks.bad_batch import BadBatch
from coloss.callbacks.checkpoint import Checkpoint
from coloss.callbacks.gradient_flow import GradientFlow

__all__ = ["BadBatch", "Checkpoint", "GradientFlow"]
