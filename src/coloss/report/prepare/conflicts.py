"""Where the gradients of two terms pull against each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from coloss.report.prepare.rows import Flow


def conflict_matrix(
    cosines: Iterable[tuple[str, str, str, float]] | pd.DataFrame, member: str
) -> pd.DataFrame:
    """Return the cosines between the terms' gradients at one member.

    Args:
        cosines: (member, term, term, cosine), as in `Explanation.cosines`, or a frame
            with the columns `member`, `first`, `second`, `cosine`.
        member: the member.

    Returns:
        (terms, terms), symmetric; 1 on the diagonal, NaN where nothing was measured.
        Empty where fewer than two terms reach the member.
    """
    if isinstance(cosines, pd.DataFrame):
        cosines = cosines[["member", "first", "second", "cosine"]].itertuples(
            index=False, name=None
        )
    found = [(a, b, value) for who, a, b, value in cosines if who == member]
    terms = list(dict.fromkeys(term for a, b, _ in found for term in (a, b)))
    matrix = pd.DataFrame(np.nan, index=terms, columns=terms)
    for term in terms:
        matrix.loc[term, term] = 1.0
    for first, second, value in found:
        cosine = np.nan if value is None else float(value)
        matrix.loc[first, second] = matrix.loc[second, first] = cosine
    return matrix


def cosines_over_time(flow: Flow) -> pd.DataFrame:
    """Return each edge's cosine with its learner's own loss, epoch by epoch.

    Args:
        flow: one row an edge and measurement with `epoch` (from 0), `term`, `learner`
            and `cosine`, as `GradientFlow.frame` has; or its `table`.

    Returns:
        One row an edge, named `term at learner`; one column an epoch, from 1.
    """
    rows = flow if isinstance(flow, pd.DataFrame) else pd.DataFrame(list(flow))
    if rows.empty:
        return pd.DataFrame()
    named = rows.assign(
        edge=rows["term"] + " at " + rows["learner"], epoch=rows["epoch"] + 1
    )
    table = named.pivot_table(
        index="edge", columns="epoch", values="cosine", sort=False, dropna=False
    )
    return table.reindex(columns=sorted(table.columns)).rename_axis(None)
