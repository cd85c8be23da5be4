"""What the aggregators are held against: TorchJD, or the papers in float64 NumPy.

All take the gradients, (K, n) float64, one a row, and return (K,) float64 weights.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import torch
from scipy.optimize import nnls
from torchjd.aggregation import (
    CAGrad,
    DualProjWeighting,
    GradVacWeighting,
    MGDAWeighting,
    NashMTL,
    PCGradWeighting,
    UPGradWeighting,
)
from torchjd.linalg import QuadprogProjector

RIDGE = 1e-5


def cosines(gradients):
    lengths = np.linalg.norm(gradients, axis=1)
    unit = gradients / lengths[:, None]
    return unit @ unit.T, lengths


def weighed(weighting, gradients):
    """TorchJD's weights for a Gramian in float64."""
    return weighting(torch.from_numpy(gradients @ gradients.T)).numpy()


def _projected(kind, gradients):
    """TorchJD's projector on unit gradients, with the lengths as preferences.

    Its own normalization, by the trace, drowns short gradients in what it adds to the
    diagonal; on unit gradients it adds what ours does.
    """
    matrix, lengths = cosines(gradients)
    k, longest = len(lengths), lengths.max()
    projector = QuadprogProjector(norm_eps=0.0, reg_eps=RIDGE / k)
    preference = torch.from_numpy(lengths / (k * longest))
    weighting = kind(pref_vector=preference, projector=projector)
    return weighting(torch.from_numpy(matrix)).numpy() * longest / lengths


def upgrad(gradients):
    return _projected(UPGradWeighting, gradients)


def dualproj(gradients):
    return _projected(DualProjWeighting, gradients)


def mgda(gradients):
    """The programme of the paper by SciPy: TorchJD's iterations are not exact."""
    matrix, lengths = cosines(gradients)
    shares = lengths.min() / lengths
    root = np.linalg.cholesky(matrix + RIDGE * np.eye(len(lengths)))
    found, _ = nnls(root.T, np.linalg.solve(root, shares))
    return found * shares / np.sum(found * shares)


def frank_wolfe(gradients):
    return weighed(MGDAWeighting(epsilon=1e-9, max_iters=100), gradients)


def cagrad(gradients, c):
    # TorchJD takes what is short in absolute terms for 0.
    gradients = gradients / np.linalg.norm(gradients)
    return weighed(CAGrad(c=c, norm_eps=1e-3).gramian_weighting, gradients)


def nash(gradients):
    """Newton's method on the paper's equation, to rounding."""
    matrix, lengths = cosines(gradients)
    k = len(lengths)
    matrix = matrix + RIDGE * np.eye(k)
    found = np.full(k, k**-0.5)
    for _ in range(200):
        within = found[:, None] * matrix * found
        slope = within.sum(1) - 1
        move = np.linalg.solve(within + np.eye(k), -slope)
        found = found * (1 + move / (1 + np.sqrt(max(0.0, -slope @ move))))
    return found / lengths


def nash_torchjd(gradients):
    k = len(gradients)
    method = NashMTL(n_tasks=k, max_norm=0.0, update_weights_every=1, optim_niter=50)
    return method.weighting(torch.from_numpy(gradients)).numpy()


def pcgrad(gradients, orders):
    rows = iter(torch.from_numpy(orders))
    with mock.patch.object(torch, "randperm", lambda n: next(rows)):
        return weighed(PCGradWeighting(), gradients)


def gradvac(steps, orders):
    """Several steps: gradients and orders of each; weights of each."""
    weighting = GradVacWeighting(beta=0.5, eps=0.0)
    found = []
    for gradients, order in zip(steps, orders, strict=True):
        # TorchJD draws places in the list of the others.
        rows = iter(
            torch.tensor([j - (j > i) for j in row if j != i])
            for i, row in enumerate(order)
        )
        with mock.patch.object(torch, "randperm", lambda n, rows=rows: next(rows)):
            found.append(weighed(weighting, gradients))
    return found
