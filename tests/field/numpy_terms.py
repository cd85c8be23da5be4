"""Transfer terms in NumPy, float64, of rows of unequal length, from the papers.

A sequence is a list of rows, each (steps, channels) without its padding.
"""

from __future__ import annotations

import numpy as np


def log_softmax(z, temperature=1.0):
    z = z / temperature - (z / temperature).max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def softmax(z, temperature=1.0):
    return np.exp(log_softmax(z, temperature))


def divergence(own, other, temperature):
    """Return T^2 KL(other || own) of each position."""
    p, q = log_softmax(other, temperature), log_softmax(own, temperature)
    return temperature**2 * (np.exp(p) * (p - q)).sum(-1)


def by_rows(of_row):
    """Return the mean over the rows that have any position."""

    def term(*rows):
        values = [of_row(*row) for row in zip(*rows, strict=True) if len(row[0])]
        return np.mean(values)

    return term


def unit(x):
    norm = np.sqrt((x**2).sum(-1, keepdims=True))
    return x / np.where(norm > 0, norm, 1)


# --- outputs --------------------------------------------------------------------------


def distill(temperature=4.0):
    return by_rows(lambda s, t, y: divergence(s, t, temperature).mean())


def standardized(z):
    return (z - z.mean(-1, keepdims=True)) / (z.std(-1, keepdims=True) + 1e-7)


standardized_distill = by_rows(
    lambda s, t, y: divergence(standardized(s), standardized(t), 4.0).mean()
)
match_logits = by_rows(lambda s, t, y: ((s - t) ** 2).mean())


def gates(s, t, y):
    at = np.arange(len(y)), np.maximum(y, 0)
    lead = np.maximum(0, softmax(t)[at] - softmax(s)[at])
    return np.where(y >= 0, lead, softmax(t).max(-1))


gated_distill = by_rows(lambda s, t, y: (gates(s, t, y) * divergence(s, t, 4)).mean())


def gated_consensus(s, t, y):
    return (np.where(gates(s, t, y) > 0, 1, 0) * divergence(s, t, 4.0)).mean()


def dkd_of_row(s, t, y, temperature=4.0):
    s, t, y = s[y >= 0], t[y >= 0], y[y >= 0]
    p, q = softmax(t, temperature), softmax(s, temperature)
    at = np.arange(len(y)), y
    target = p[at] * np.log(p[at] / q[at])
    target += (1 - p[at]) * np.log((1 - p[at]) / (1 - q[at]))
    others = np.ones_like(p)
    others[at] = 0
    p, q = (x * others / (x * others).sum(-1, keepdims=True) for x in (p, q))
    log = np.where(others > 0, np.log(np.maximum(p, 1e-300) / np.maximum(q, 1e-300)), 0)
    return temperature**2 * (target + (p * log).sum(-1)).mean()


def dkd(s, t, y):
    rows = zip(s, t, y, strict=True)
    return np.mean([dkd_of_row(*row) for row in rows if (row[2] >= 0).any()])


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())


def dist(s, t, y):
    p, q = softmax(np.concatenate(s)), softmax(np.concatenate(t))
    rows = np.mean([1 - correlation(a, b) for a, b in zip(p, q, strict=True)])
    return rows + np.mean(
        [1 - correlation(a, b) for a, b in zip(p.T, q.T, strict=True)]
    )


def pseudo_label(threshold):
    """Return self-training on the positions without a label."""

    def of_row(z):
        log = log_softmax(z).max(-1)
        return np.where(np.exp(log) >= threshold, -log, 0).mean()

    def term(s, t, y):
        free = [z[labels < 0] for z, labels in zip(s, y, strict=True)]
        return by_rows(of_row)(free)

    return term


def cross_entropy(z, y):
    return -log_softmax(z[y >= 0])[np.arange((y >= 0).sum()), y[y >= 0]].mean()


def coteach(s, t, y):
    rows = [row for row in zip(s, t, y, strict=True) if (row[2] >= 0).any()]
    own = np.array([cross_entropy(s, y) for s, _, y in rows])
    other = np.array([cross_entropy(t, y) for _, t, y in rows])
    weight = np.exp(-other) / np.exp(-other).sum()
    return (weight * own).sum()


# --- layers, position by position -----------------------------------------------------


@by_rows
def hint(s, t):
    return ((unit(s.reshape(-1)) - unit(t.reshape(-1))) ** 2).mean()


@by_rows
def attention(s, t):
    s, t = (unit((x**2).mean(-1)) for x in (s, t))
    return ((s - t) ** 2).mean()


def vid(matrix, raw):
    variance = np.log1p(np.exp(raw)) + 1e-5
    return by_rows(
        lambda s, t: (((s @ matrix - t) ** 2 / variance + np.log(variance)) / 2).mean()
    )


# --- layers, rows as a whole ----------------------------------------------------------


def cka(s, t):
    s, t = s - s.mean(0), t - t.mean(0)
    norms = np.linalg.norm(s.T @ s) * np.linalg.norm(t.T @ t)
    return 1 - np.linalg.norm(s.T @ t) ** 2 / norms


def sp(s, t):
    return ((unit(s @ s.T) - unit(t @ t.T)) ** 2).sum() / len(s)


def pkt(s, t):
    s, t = ((unit(x) @ unit(x).T + 1) / 2 for x in (s, t))
    s, t = (x / x.sum(1, keepdims=True) for x in (s, t))
    return (t * np.log((t + 1e-7) / (s + 1e-7))).mean()


def huber(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5)


def rkd_distance(s, t):
    apart = ~np.eye(len(s), dtype=bool)

    def distances(x):
        d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
        return d[apart] / d[apart].mean()

    return huber(distances(s) - distances(t)).mean()


def rkd_angle(s, t):
    def cosines(x):
        e = unit(x[:, None] - x[None])  # (j, i): toward j
        return np.einsum("jid,jkd->jik", e, e)

    j, i, k = np.indices((len(s),) * 3)
    different = (i != j) & (j != k) & (i != k)
    return huber(cosines(s) - cosines(t))[different].mean()


def contrast(s, t, maps=None):
    if maps is not None:
        s, t = s @ maps[0], t @ maps[1]
    c = unit(s) @ unit(t).T / 0.07
    return -(np.diag(log_softmax(c)) + np.diag(log_softmax(c.T))).mean() / 2
