"""The weightings once more, in NumPy and float64, written from their papers."""

from __future__ import annotations

import numpy as np


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


class Adam:
    def __init__(self, rate):
        self.rate, self.m, self.v, self.t = rate, 0.0, 0.0, 0

    def __call__(self, value, gradient):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return value - self.rate * m / (np.sqrt(v) + 1e-8)


def dwa(losses, epochs, gramians):
    means = {e: losses[epochs == e].mean(0) for e in np.unique(epochs)}
    k = losses.shape[1]
    for e in epochs:
        if e < 2:
            yield np.ones(k)
        else:
            yield k * softmax(means[e - 1] / means[e - 2] / 2.0)


def geometric_mean(losses, epochs, gramians):
    for row in losses:
        yield np.prod(row) ** (1 / len(row)) / row


def famo(losses, epochs, gramians):
    xi, adam, before = np.zeros(losses.shape[1]), Adam(0.025), None
    for row in losses:
        if before is not None:
            z = softmax(xi)
            jacobian = np.diag(z) - np.outer(z, z)
            fall = np.log(before) - np.log(row)
            xi = adam(xi, jacobian @ fall + 0.01 * xi)
        z, before = softmax(xi), row
        yield len(row) * (z / row) / (z / row).sum()


def gradnorm(losses, epochs, gramians):
    k = losses.shape[1]
    weights, adam = np.ones(k), Adam(0.025)
    for row, gramian in zip(losses, gramians, strict=True):
        yield weights
        norms = np.sqrt(np.diag(gramian))
        rates = row / losses[0]
        sizes = weights * norms
        target = sizes.mean() * (rates / rates.mean()) ** 1.5
        moved = np.maximum(adam(weights, np.sign(sizes - target) * norms), 1e-3)
        weights = k * moved / moved.sum()


def minimax(losses, epochs, gramians):
    q = np.full(losses.shape[1], 1 / losses.shape[1])
    for row in losses:
        q = q * np.exp(0.01 * row)
        q = q / q.sum()
        yield len(row) * q


def ogmge(losses, epochs, gramians):
    for row in losses:
        found = np.ones(len(row))
        for m in range(len(row)):
            ratio = row[m] / np.delete(row, m).mean()
            if ratio > 1:
                found[m] = 1 - np.tanh(0.3 * ratio)
        yield found


def agm(losses, epochs, gramians):
    m = losses.shape[1]
    for t, row in enumerate(losses):
        mean = losses[: t + 1].mean(0)
        lead = np.exp((row.mean() - row) * m / (m - 1))
        usual = np.exp((mean.mean() - mean) * m / (m - 1))
        yield np.exp(np.minimum(usual - lead, 7.0))


REFERENCES = {
    "dwa": dwa,
    "geometric_mean": geometric_mean,
    "famo": famo,
    "gradnorm": gradnorm,
    "minimax": minimax,
    "ogmge": ogmge,
    "agm": agm,
}
