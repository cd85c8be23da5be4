"""What watches a joint model while it trains."""

from coloss.callbacks.gradient_flow import GradientFlow

__all__ = ["GradientFlow"]
