"""What watches or keeps a joint model while it trains."""

from coloss.callbacks.checkpoint import Checkpoint
from coloss.callbacks.gradient_flow import GradientFlow

__all__ = ["Checkpoint", "GradientFlow"]
