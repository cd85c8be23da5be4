"""Labeled and unlabeled rows of different sources in one `fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from coloss.checking import COUNT, POSITIVE, NumberRule
from coloss.data.mixture import ONE, Mixture
from coloss.data.rows import (
    Structure,
    as_arrays,
    signed,
)
from coloss.data.sources import Arrays, Batches, Parts, Stream, is_stream

if TYPE_CHECKING:
    from coloss.data.dataset import Mixed


def mix(
    labeled: Structure | Batches,
    unlabeled: Structure | Batches,
    ratio: float = 1.0,
    batch_size: int = 64,
    seed: int = 0,
    steps: int | None = None,
    **options: object,
) -> Mixed:
    """Return a `keras.utils.PyDataset` whose batches hold both kinds of rows.

    An epoch covers the source that needs more batches once, its last batch being
    smaller; the other source is begun again as often as needed, each time in a new
    order. The order depends on `seed` and the epoch alone.

    A member that one of the sources lacks is missing on its rows: rows of NaN.
    Unlabeled rows have labels -1 (integers) or NaN (floats) and sample weight 1.

    Args:
        labeled: `(x, y)` or `(x, y, sample_weight)`: x a dict by member (or one
            array), y and sample_weight one array or a dict by member. Or an
            iterable of such batches (generator, list, `PyDataset`, `tf.data`,
            `DataLoader`), or a function that returns one; its rows come in its own
            order and are batched anew.
        unlabeled: x, or an iterable of batches of x; the first part of a tuple.
        ratio: unlabeled rows for each labeled one in a batch.
        batch_size: rows a batch, both kinds together.
        seed: of the order of arrays.
        steps: batches an epoch; None: as many as the longer of the arrays needs.
        **options: passed on to `keras.utils.PyDataset`, such as `workers`.

    Raises:
        TypeError: if `labeled` is no pair, or x is a dict in one source only.
        ValueError: for numbers out of range, arrays of different lengths, inputs or
            labels that cannot say "missing", or no array to take `steps` from.

    Examples:
        >>> import numpy as np, coloss
        >>> x, y = {"a": np.zeros((4, 2))}, np.zeros(4, int)
        >>> more = {"a": np.ones((12, 2)), "b": np.ones((12, 3))}
        >>> batches = coloss.data.mix((x, y), more, ratio=3, batch_size=8)
        >>> len(batches), batches[0][1].tolist()
        (2, [0, 0, -1, -1, -1, -1, -1, -1])
        >>> batches[0][0]["b"].shape
        (8, 3)
    """
    _check_numbers(ratio, batch_size, steps)
    second = round(batch_size * ratio / (1 + ratio))
    second = min(max(second, 1), batch_size - 1)
    sizes = (batch_size - second, second)
    sources = (
        _source(labeled, "labeled", _labeled, (seed, 0)),
        _source(unlabeled, "unlabeled", _inputs, (seed, 1)),
    )
    core = Mixture(sources, sizes, steps)

    from coloss._backend import require_backend

    require_backend()
    # Only here: to describe data needs no Keras.
    from coloss.data.dataset import Mixed

    return Mixed(core, **options)


def _check_numbers(ratio: float, batch_size: int, steps: int | None) -> None:
    POSITIVE.number("`ratio`", ratio)
    # A row of each kind.
    NumberRule(least=2, whole=True).integer("`batch_size`", batch_size)
    if steps is not None:
        COUNT.integer("`steps`", steps)


def _source(
    given: Structure | Batches,
    what: str,
    read: Callable[[Structure, str], Parts],
    key: tuple[int, int],
) -> Arrays | Stream:
    if is_stream(given):
        return Stream(given, f"`{what}`", lambda batch: read(batch, what))
    return Arrays(read(given, what), f"`{what}`", key)


def _labeled(given: Structure, what: str) -> Parts:
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise TypeError(
            f"`{what}` must be (x, y) or (x, y, sample_weight), or an iterable of "
            f"such batches; found {type(given).__name__}."
        )
    parts = {"x": _named(given[0]), "y": signed(as_arrays(given[1]))}
    if len(given) == 3 and given[2] is not None:
        parts["weight"] = given[2]
    return parts


def _inputs(given: Structure, what: str) -> Parts:
    x = given[0] if isinstance(given, tuple | list) and len(given) else given
    if not isinstance(x, Mapping) and not hasattr(x, "shape"):
        raise TypeError(
            f"`{what}` must be x (a dict by member, or one array), or an iterable of "
            f"such batches; found {type(given).__name__}."
        )
    return {"x": _named(x)}


def _named(x: Structure) -> dict[str, Structure]:
    if not isinstance(x, Mapping):
        return {ONE: x}
    if not x:
        raise ValueError("x is an empty dict; expected one entry a member.")
    return dict(x)
