"""PyTorch's random generators."""

from __future__ import annotations

import numpy as np
import torch


def read() -> dict[str, object]:
    """Return the state of every generator of PyTorch's own."""
    on_device = []
    if torch.cuda.is_available():
        on_device = [state.numpy() for state in torch.cuda.get_rng_state_all()]
    return {"cpu": torch.get_rng_state().numpy(), "cuda": on_device}


def write(cpu: np.ndarray, cuda: list[np.ndarray]) -> None:
    """Set what `read` returned."""
    torch.set_rng_state(torch.from_numpy(np.array(cpu)))
    if cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([torch.from_numpy(np.array(one)) for one in cuda])
