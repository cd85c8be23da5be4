"""What a study found: its runs as a table, and the verdict on each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from coloss import _pages
from coloss.names import beaten_words, counted, unknown
from coloss.study.arms import Run
from coloss.study.settings import Record
from coloss.study.statistics import (
    GAINED,
    bootstrap_gain,
    mean_interval,
    paired_gain,
    seeds_needed,
)


class StudyResult:
    """The finished runs of a study.

    Args:
        records: one a run.
        objectives: of every arm, as text.
        main: the member whose gain is asked.
        metric: an entry of the metrics.
        direction: "max" or "min": which way it is better.
        baseline: the arm that others are compared with.
        controls: arms whose gain did not come from the other networks.
        references: classifiers of scikit-learn on the same rows; see
            `coloss.study.references`.
    """

    def __init__(
        self,
        records: Sequence[Record],
        objectives: Mapping[str, str | None],
        *,
        main: str,
        metric: str,
        direction: str,
        baseline: str,
        controls: Sequence[str] = (),
        references: pd.DataFrame | None = None,
    ) -> None:
        """Keep the records."""
        self.records, self.objectives = list(records), dict(objectives)
        self.main, self.metric = main, metric
        self.direction, self.baseline = direction, baseline
        self.controls, self.references = tuple(controls), references

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a run: arm, seed, coefficients, metrics of validation and test."""
        rows = [_row(record) for record in self.records]
        columns: dict[str, None] = dict.fromkeys(("arm", "seed"))
        for record in self.records:
            columns |= dict.fromkeys(name for name, _ in record.run.values)
        if any(record.run.learning_rate is not None for record in self.records):
            columns["learning_rate"] = None
        for row in rows:
            columns |= dict.fromkeys(row)
        return pd.DataFrame(rows, columns=list(columns))

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch of a run: arm, seed, coefficients, epoch, all entries."""
        return pd.DataFrame(
            {**_identity(record), "epoch": epoch, **entries}
            for record in self.records
            for epoch, entries in enumerate(record.history)
        )

    @cached_property
    def points(self) -> list[str]:
        """The columns that tell the runs of one arm and seed apart."""
        found = dict.fromkeys(n for r in self.records for n, _ in r.run.values)
        rates = any(r.run.learning_rate is not None for r in self.records)
        return [*found, *(["learning_rate"] if rates else [])]

    def selected(self, arm: str) -> pd.DataFrame:
        """Return an arm's runs at its best point, chosen on validation rows alone.

        Args:
            arm: its name.

        Returns:
            Rows of `frame`, one a seed, by seed.

        Raises:
            ValueError: for an unknown arm.
        """
        if arm not in self.objectives:
            raise ValueError(f"{unknown('arm', arm, self.objectives)}.")
        rows = self.frame[self.frame["arm"] == arm]
        points = [name for name in self.points if rows[name].notna().any()]
        if points:
            column = f"validation_{self.metric}"
            means = rows.groupby(points, sort=False)[column].mean()
            best = means.idxmax() if self.direction == "max" else means.idxmin()
            values = best if isinstance(best, tuple) else (best,)
            for name, value in zip(points, values, strict=True):
                rows = rows[rows[name] == value]
        return rows.sort_values("seed").set_index("seed", drop=False)

    def compare(
        self, baseline: str | None = None, metric: str | None = None
    ) -> pd.DataFrame:
        """Compare every arm with one of them, on test rows, pair by pair.

        Args:
            baseline: an arm; None: that of the study.
            metric: an entry of the metrics; None: that of the study.

        Returns:
            By arm: the chosen `point`, `mean`, `mean_low`, `mean_high` (95 %), `gain`,
            `low`, `high` (95 % for all arms together, Bonferroni), `p` (corrected
            likewise), `bootstrap_low`, `bootstrap_high`, `seeds`, and `verdict`:
            gained, no evidence or harmed.

        Raises:
            ValueError: for an unknown arm or metric, or fewer than 2 common seeds.
        """
        metric, baseline = metric or self.metric, baseline or self.baseline
        column = f"test_{metric}"
        if column not in self.frame:
            known = [c[5:] for c in self.frame if c.startswith("test_")]
            raise ValueError(f"{unknown('metric', metric, known)}.")
        reference = self.selected(baseline)[column]
        others = max(1, len(self.objectives) - 1)
        rows = {}
        for arm in self.objectives:
            chosen = self.selected(arm)
            rows[arm] = {"point": _point(chosen, self.points)}
            rows[arm] |= self._against(chosen[column], reference, others, arm, baseline)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def _against(
        self,
        values: pd.Series,
        reference: pd.Series,
        comparisons: int,
        arm: str,
        baseline: str,
    ) -> dict[str, Any]:
        mean, low, high = mean_interval(values)
        found: dict[str, Any] = {"mean": mean, "mean_low": low, "mean_high": high}
        if arm == baseline:
            nothing = dict.fromkeys(_COMPARED, float("nan"))
            return found | nothing | {"seeds": len(values), "verdict": "baseline"}
        seeds = values.index.intersection(reference.index)
        if len(seeds) < 2:
            raise ValueError(
                f"arms {arm!r} and {baseline!r} have {counted(len(seeds), 'seed')} in "
                "common; a comparison needs at least 2."
            )
        first, second = values.loc[seeds], reference.loc[seeds]
        gain = paired_gain(first, second, comparisons)
        ends = bootstrap_gain(first, second, comparisons)
        compared = (gain.mean, gain.low, gain.high, gain.p, *ends)
        return (
            found
            | dict(zip(_COMPARED, compared, strict=True))
            | {"seeds": len(seeds), "verdict": gain.verdict(self._better(values.name))}
        )

    def _better(self, column: object) -> str:
        """Return which way a column is better; the study's own metric is known."""
        name = str(column).removeprefix("test_")
        if name == self.metric:
            return self.direction
        return "min" if name.endswith("loss") else "max"

    def best(self, arm: str) -> Run:
        """Return an arm's run that is best on validation rows.

        It is one of those at the arm's best point; `Study.retrain` returns its
        networks.

        Args:
            arm: its name.

        Raises:
            ValueError: for an unknown arm.
        """
        column = self.selected(arm)[f"validation_{self.metric}"]
        row = column.idxmax() if self.direction == "max" else column.idxmin()
        chosen = self.selected(arm).loc[row]
        point = {name: chosen[name] for name in self.points}
        for record in self.records:
            run = record.run
            if run.arm == arm and run.seed == row and _at(run, point):
                return run
        raise AssertionError(f"the frame has a run of {arm!r} that no record has")

    def report(self, path: str | Path) -> Path:
        """Write the result as a page; see `coloss.report`.

        Args:
            path: of the HTML file.

        Returns:
            The path.
        """
        _pages.write("study", self, path)
        return Path(path)

    def seeds_needed(self, arm: str, effect: float, baseline: str | None = None) -> int:
        """Return how many seeds would show an effect of an arm (power 80 %).

        Args:
            arm: its name.
            effect: difference of the metric, in its unit.
            baseline: an arm; None: that of the study.
        """
        column = f"test_{self.metric}"
        first = self.selected(arm)[column]
        second = self.selected(baseline or self.baseline)[column]
        seeds = first.index.intersection(second.index)
        return seeds_needed(first.loc[seeds], second.loc[seeds], effect)

    def __str__(self) -> str:
        """Return the table and the verdict in words."""
        table = self.compare()
        seeds = counted(int(table["seeds"].max()), "seed")
        lines = [
            f"{self.metric} on test rows, {seeds}; "
            f"gain over {self.baseline!r} with 95 % intervals for all arms together.",
            "",
            _text(table),
            "",
            self.verdict,
        ]
        if self.references is not None:
            measure = self.references.attrs.get("measure", "Accuracy")
            lines += ["", f"{measure} of references on the same rows:"]
            lines += [_references(self.references)]
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """The answer in words: who gained, and whether more than a control."""
        table = self.compare()
        failed = [r for r in self.records if r.error]
        found = table.index[table["verdict"] == GAINED].tolist()
        gained = [arm for arm in found if arm not in self.controls]
        said = (
            f"{self.main} gained with {', '.join(map(repr, found))}."
            if found
            else f"No arm shows a gain of {self.main}."
        )
        said += "".join(f" {beaten_words(arm, self.beaten[arm])}" for arm in gained)
        said += self._over_controls(gained)
        if failed:
            arms = sorted({record.run.arm for record in failed})
            said += (
                f" {counted(len(failed), 'run')} ended early because the loss was not "
                f"finite ({', '.join(arms)})."
            )
        return said

    @cached_property
    def over_controls(self) -> pd.DataFrame:
        """The gain of every arm over every control, pair by pair.

        Columns: `arm`, `control`, `gain`, `low`, `high`, `p`, `verdict`; without the
        controls themselves and the baseline. Empty where no arm is a control.
        """
        columns = ["gain", "low", "high", "p", "verdict"]
        beside = {*self.controls, self.baseline}
        arms = [arm for arm in self.objectives if arm not in beside]
        rows = []
        for control in self.controls if arms else ():
            table = self.compare(control)
            rows += [
                {"arm": arm, "control": control, **table.loc[arm, columns]}
                for arm in arms
            ]
        return pd.DataFrame(rows, columns=["arm", "control", *columns])

    @cached_property
    def beaten(self) -> dict[str, dict[str, list[str]]]:
        """By arm that gained: which of baseline and controls it `beats`, and `not`."""
        compared, over = self.compare(), self.over_controls
        found = {}
        for arm in compared.index[compared["verdict"] == GAINED]:
            if arm in self.controls:
                continue
            rows = over[over["arm"] == arm]
            won = rows["verdict"] == GAINED
            found[str(arm)] = {
                "beats": [self.baseline, *rows.loc[won, "control"]],
                "not": rows.loc[~won, "control"].tolist(),
            }
        return found

    def _over_controls(self, gained: Sequence[str]) -> str:
        """Return how the arms that gained stand against each control."""
        if not self.controls:
            return (
                " No arm is a control (self-training, twin, equal or random weights): "
                "that a gain comes from the other networks is not shown."
            )
        said = ""
        for row in self.over_controls.to_dict("records"):
            if row["arm"] in gained:
                than = "gains over" if row["verdict"] == GAINED else "no gain over"
                interval = f"{row['gain']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
                said += (
                    f" {row['arm']!r}: {than} the control {row['control']!r}, "
                    f"{interval}."
                )
        return said


_COMPARED = ("gain", "low", "high", "p", "bootstrap_low", "bootstrap_high")


def _at(run: Run, point: Mapping[str, float]) -> bool:
    """Return whether a run is at a point; NaN is what its arm does not have."""
    own = dict(run.values)
    if run.learning_rate is not None:
        own["learning_rate"] = run.learning_rate
    return all(own.get(n) == v or n not in own for n, v in point.items())


def _references(table: pd.DataFrame) -> str:
    shown = table.assign(
        mean=[f"{row.mean:.4f}" for row in table.itertuples()],
        interval=[f"[{row.low:.4f}, {row.high:.4f}]" for row in table.itertuples()],
    )
    return shown[["mean", "interval"]].rename_axis(None).to_string()


def _identity(record: Record) -> dict[str, Any]:
    found = {"arm": record.run.arm, "seed": record.run.seed, **dict(record.run.values)}
    if record.run.learning_rate is not None:
        found["learning_rate"] = record.run.learning_rate
    return found


def _row(record: Record) -> dict[str, Any]:
    parts = (("validation", record.validation), ("test", record.test))
    metrics = {f"{part}_{n}": v for part, found in parts for n, v in found.items()}
    return {
        **_identity(record),
        **metrics,
        "seconds": record.seconds,
        "epochs": record.epochs,
        "error": record.error,
    }


def _point(rows: pd.DataFrame, points: list[str]) -> str:
    first = rows.iloc[0]
    values = [(name, first[name]) for name in points]
    return ", ".join(
        f"{name}={value:g}" for name, value in values if not np.isnan(value)
    )


def _text(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "point": table["point"],
            "mean": [f"{m:.4f}" for m in table["mean"]],
            "gain": [
                ""
                if np.isnan(row.gain)
                else f"{row.gain:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
                for row in table.itertuples()
            ],
            "p": ["" if np.isnan(p) else f"{p:.2g}" for p in table["p"]],
            "verdict": table["verdict"],
        },
        index=table.index,
    )
    if not (shown["point"] != "").any():
        shown = shown.drop(columns="point")
    return shown.rename_axis(None).to_string()
