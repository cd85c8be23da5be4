"""What one step hands from the forward pass to the loss and to the update."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from coloss.joint.balance.gradient_basis import GradientBasis
from coloss.joint.outputs.forward import Forward


class StepContext(threading.local):
    """Carries a forward pass from `call` to `compute_loss` within one step.

    Outside `open` nothing is kept, so no tensor outlives its step.

    Attributes:
        basis: what is minimized, where the train step combines gradients itself.
        counted: whether this step's batch is in the members' metrics.
    """

    def __init__(self) -> None:
        """Start closed."""
        self._open = 0
        self._forward: Forward | None = None
        self.basis: GradientBasis | None = None
        self.counted = False

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Keep what `put` is given, until the block ends."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._forward = self.basis = None
                self.counted = False

    @property
    def is_open(self) -> bool:
        """Whether a step is under way."""
        return self._open > 0

    def put(self, forward: Forward) -> None:
        """Keep a forward pass, if a step is under way."""
        if self._open:
            self._forward = forward

    def take(self) -> Forward | None:
        """Return the forward pass of this step, once."""
        forward, self._forward = self._forward, None
        return forward

    def take_counted(self) -> bool:
        """Return whether the metrics have this step's batch; only once."""
        counted, self.counted = self.counted, False
        return counted

    def take_basis(self) -> GradientBasis | None:
        """Return what this step combines, once; None: nothing."""
        basis, self.basis = self.basis, None
        return basis
