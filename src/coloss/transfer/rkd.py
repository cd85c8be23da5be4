"""Relational knowledge distillation: distances and angles between the rows."""

from __future__ import annotations

from keras import ops

from coloss.transfer.masks import unit
from coloss.transfer.relation import pair, spread
from coloss.typing import Tensor

# Pairwise differences of up to this many numbers are formed directly.
DIRECT = 2**24
EPSILON = 1e-12


def rkd_distance(learner: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Rows as far from each other as for the source, relative to the mean distance.

    $$\mathrm{mean}_{i \ne j} \; h\!\left(d^s_{ij} / \bar d^s - d^t_{ij} / \bar d^t
      \right), \qquad d_{ij} = \lVert f_i - f_j \rVert_2$$

    with the Huber function $h$ of width 1. Park et al., CVPR 2019, "Relational
    Knowledge Distillation", whose weight on it (25 in their experiments) is the weight
    here up to B / (B - 1), for their code also counts the pairs i = j. Does not change
    under rotation, shift and isotropic scaling of either side.

    Args:
        learner: (B, ...) a layer's output, flattened to (B, D).
        source: (B, ...), of any other width. Not detached here.
        mask: (B,) bool, rows that count; None: all.

    Returns:
        A scalar, 0 or more; 0 where fewer than 2 rows count. Equal rows are at a
        distance of 0 and get no gradient from each other.

    Raises:
        ValueError: for unequal numbers of rows.
    """
    mask, learner, source = pair("rkd_distance", mask, learner, source)
    pairs = ops.cast(_pairs(mask, learner), learner.dtype)
    number = ops.maximum(ops.sum(pairs), 1.0)
    own, other = (_distances(x, mask, pairs, number) for x in (learner, source))
    return ops.sum(pairs * _huber(own - other)) / number


def rkd_angle(
    learner: Tensor, source: Tensor, max_rows: int = 32, mask: Tensor | None = None
) -> Tensor:
    r"""Rows at the same angles to each other as for the source.

    $$\mathrm{mean}_{ijk} \; h(\cos\psi^s_{ijk} - \cos\psi^t_{ijk}), \qquad
      \cos\psi_{ijk} = \langle n(f_i - f_j), n(f_k - f_j) \rangle$$

    over triplets of different rows, with the Huber function $h$ of width 1. Park et
    al., CVPR 2019, "Relational Knowledge Distillation", whose weight on it (50) is the
    weight here up to the triplets with equal rows, which their code counts as 0. Does
    not change under rotation, shift and isotropic scaling of either side.

    A batch of more than `max_rows` rows is cut into the fewest groups of at most that
    many, rows that count first, and triplets are formed inside a group: memory grows
    as B, not as its cube. Batches are shuffled, so groups differ from step to step;
    the same batch always has the same triplets.

    Args:
        learner: (B, ...) a layer's output, flattened to (B, D).
        source: (B, ...), of any other width. Not detached here.
        max_rows: the largest group, 3 or more.
        mask: (B,) bool, rows that count; None: all.

    Returns:
        A scalar from 0 to 1.5; 0 where fewer than 3 rows count. Equal rows have
        cosine 0 and get no gradient from each other.

    Raises:
        ValueError: for unequal numbers of rows, or `max_rows` below 3.
    """
    if max_rows < 3:
        raise ValueError(f"rkd_angle needs max_rows of 3 or more; found {max_rows}")
    mask, learner, source = pair("rkd_angle", mask, learner, source, least=3)
    known = mask
    if known is None:
        known = ops.ones((ops.shape(learner)[0],), dtype="bool")
    index, inside = _groups(known, int(max_rows))
    known = ops.logical_and(ops.take(known, index, axis=0), inside)
    triplets = ops.cast(_triplets(known), learner.dtype)
    own, other = (_cosines(x, mask, index) for x in (learner, source))
    number = ops.maximum(ops.sum(triplets), 1.0)
    return ops.sum(triplets * _huber(own - other)) / number


def _huber(error: Tensor) -> Tensor:
    size = ops.abs(error)
    return ops.where(size < 1.0, 0.5 * ops.square(error), size - 0.5)


def _different(size: Tensor) -> Tensor:
    """Return (size, size) bool, False on the diagonal."""
    index = ops.arange(size)
    return ops.not_equal(ops.expand_dims(index, 0), ops.expand_dims(index, 1))


def _pairs(mask: Tensor | None, values: Tensor) -> Tensor:
    """Return (B, B) bool: two different rows that count."""
    pairs = _different(ops.shape(values)[0])
    if mask is None:
        return pairs
    both = ops.logical_and(ops.expand_dims(mask, 0), ops.expand_dims(mask, 1))
    return ops.logical_and(pairs, both)


def _distances(
    values: Tensor, mask: Tensor | None, pairs: Tensor, number: Tensor
) -> Tensor:
    """Return (B, B) distances divided by their mean over the pairs.

    Where all rows are equal each distance is its mean, so all quotients are 1.
    """
    values = spread(values, mask)
    # The square root has no derivative at 0, the distance of equal rows.
    distances = ops.sqrt(_squared(values) + EPSILON) * pairs
    mean = ops.sum(distances) / number
    return distances / ops.maximum(mean, EPSILON)


def _squared(values: Tensor) -> Tensor:
    """Return (B, B) squared distances of rows of magnitude about 1.

    Formed from differences while these fit, for equal rows then are at 0 exactly;
    beyond, from inner products.
    """
    batch, width = values.shape
    if batch is None or width is None or batch * batch * width <= DIRECT:
        differences = ops.expand_dims(values, 0) - ops.expand_dims(values, 1)
        return ops.sum(ops.square(differences), axis=-1)
    squares = ops.sum(ops.square(values), axis=-1)
    inner = ops.matmul(values, ops.transpose(values))
    sums = ops.expand_dims(squares, 0) + ops.expand_dims(squares, 1)
    return ops.relu(sums - 2.0 * inner)


def _groups(known: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return which rows form groups: (groups, size) indices, and which of them exist.

    Rows that count come first: spread thin over the groups, few of them would form no
    triplet.
    """
    batch = ops.shape(known)[0]
    number = (batch + most - 1) // most
    size = (batch + number - 1) // number
    rows = ops.arange(batch)
    order = ops.argsort(ops.where(known, rows, rows + batch))
    place = ops.expand_dims(ops.arange(number) * size, 1)
    place = place + ops.expand_dims(ops.arange(size), 0)
    return ops.take(order, ops.minimum(place, batch - 1)), ops.less(place, batch)


def _triplets(known: Tensor) -> Tensor:
    """Return (groups, j, i, k) bool: three different rows that count."""
    different = _different(ops.shape(known)[1])
    apart = ops.logical_and(
        ops.expand_dims(different, 2), ops.expand_dims(different, 1)
    )
    apart = ops.logical_and(apart, ops.expand_dims(different, 0))
    first = ops.expand_dims(ops.expand_dims(known, 2), 3)
    second = ops.expand_dims(ops.expand_dims(known, 1), 3)
    third = ops.expand_dims(ops.expand_dims(known, 1), 2)
    counted = ops.logical_and(ops.logical_and(first, second), third)
    return ops.logical_and(counted, apart)


def _cosines(values: Tensor, mask: Tensor | None, index: Tensor) -> Tensor:
    """Return (groups, j, i, k) cosines of the angles at row j."""
    rows = ops.take(spread(values, mask), index, axis=0)
    directions = unit(ops.expand_dims(rows, 1) - ops.expand_dims(rows, 2))
    return ops.matmul(directions, ops.transpose(directions, (0, 1, 3, 2)))
