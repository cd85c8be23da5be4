"""What is compared on Multiple Features: pairs of networks, cases, and arms."""

from __future__ import annotations

import keras
import numpy as np

import coloss

PAIRS = {
    "fou <- kar, pix": ("fou", ("kar", "pix")),
    "kar <- fac, pix": ("kar", ("fac", "pix")),
    "pix <- fou, mor": ("pix", ("fou", "mor")),
    "zer <- mor": ("zer", ("mor",)),
}
"""The main network and its helpers; those of the last two are weaker than it."""

CASES = {
    "100 labels": (100, 0.0),
    "300 labels": (300, 0.0),
    "1000 labels": (1000, 0.0),
    "40 % wrong labels": (1000, 0.4),
}
"""Labeled rows of 1000, and the share of wrong labels among them."""

BLOCK = 1000
"""Seeds of case k are from k * BLOCK on: one program serves all cases."""

FEATURES = ("hint", "vid", "contrast", "cka", "sp", "rkd_distance", "rkd_angle", "pkt")
"""Terms between the second hidden layers. `attention` needs positions; these have none.
"""


def seeds_of(case, seeds):
    """Return the study's seeds for a case."""
    start = list(CASES).index(case) * BLOCK
    return range(start, start + seeds)


def digits(views):
    """Return a function of the seed: the split of its case."""

    def split(seed):
        case, number = divmod(seed, BLOCK)
        labels, noise = list(CASES.values())[case]
        found = coloss.data.load_digits_views(views, labels, number)
        if not noise:
            return found
        # Validation labels are wrong as well: nobody has clean ones for selection.
        train, validation = (
            (x, corrupted(y, noise, [number, part]))
            for part, (x, y) in enumerate((found.train, found.validation))
        )
        return coloss.data.Split(train, validation, found.test)

    return split


def corrupted(labels, share, seed):
    """Return labels of which a share is replaced by another class at random."""
    random = np.random.default_rng(seed)
    wrong = random.random(len(labels)) < share
    other = (labels + random.integers(1, 10, len(labels))) % 10
    return np.where(wrong, other, labels).astype("int32")


def one_hot(split):
    """Return the same rows with dense labels; unlabeled ones are rows of NaN."""

    def dense(seed):
        found = split(seed)
        parts = (found.train, found.validation, found.test)
        return coloss.data.Split(*((x, _dense(y)) for x, y in parts))

    return dense


def _dense(labels):
    rows = np.eye(10, dtype="float32")[np.maximum(labels, 0)]
    rows[labels < 0] = np.nan
    return rows


def builder(views):
    """Return `build`: two hidden layers of 64 for each view."""

    def build():
        members = {
            view: keras.Sequential(
                [
                    keras.Input((coloss.data.WIDTHS[view],)),
                    keras.layers.Dense(64, activation="relu", name="hidden_1"),
                    keras.layers.Dense(64, activation="relu", name="hidden_2"),
                    keras.layers.Dense(10, activation="softmax", name="digit"),
                ],
                name=view,
            )
            for view in views
        }
        return coloss.JointModel(members, fuse="mean")

    return build


def arms(main, helpers, data):
    """Return the arms of a pair by name, and the coefficients to try.

    Args:
        main: the main view.
        helpers: those that teach it.
        data: of all arms.
    """
    own = " + ".join((main, *helpers))
    outputs = _edge(helpers, main, "")
    layers = _edge(helpers, main, ".hidden_2")
    smooth = {
        "objective": own,
        "data": one_hot(data),
        "compile": {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
    }
    found = {
        "alone": own,
        "self-training": f"{own} + pseudo_label({main})",
        "own-loss weights": own.replace(
            main, f"exp(-stop({main}))*{main}/mean(exp(-stop({main})))", 1
        ),
        "label smoothing": smooth,
        "recipe": str(coloss.recipes.learn_from(main, helpers)),
        "distill": f"{own} + w*distill({outputs})",
        "distill, T=2": f"{own} + distill({outputs}, temperature=2)",
        "distill, standardized": f"{own} + distill({outputs}, standardize=True)",
        "distill, gate by row": f'{own} + distill({outputs}, gate="row")',
        "match_logits": f"{own} + match_logits({outputs})",
        "dkd": f"{own} + dkd({outputs})",
        "dist": f"{own} + dist({outputs})",
        "mutual": f"{own} + mutual({', '.join((main, *helpers))})",
        "coteach": f"{' + '.join(helpers)} + coteach({outputs})",
    }
    for how in ("mean", "best", "gated") if len(helpers) > 1 else ():
        found[f"consensus, {how}"] = f'{own} + consensus({outputs}, how="{how}")'
    for term in FEATURES:
        found[term] = f"{own} + v*{term}({layers})"
    return found, {"w": [1.0, 3.0], "v": [1.0, 30.0]}


def _edge(helpers, main, layer):
    sources = ", ".join(f"{name}{layer}" for name in helpers)
    if len(helpers) > 1:
        sources = f"({sources})"
    return f"{sources} >> {main}{layer}"
