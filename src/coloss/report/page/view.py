"""Everything a run folder holds, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from coloss.run_folder import CONFIG, RunFolder


@dataclass(frozen=True)
class RunView:
    """A run, as the page reads it; what the run did not write is None.

    Attributes:
        label: its name on the page.
        config: the configuration's text.
        environment, explanation, data, study: see `RunFolder`.
        history, flow, conflicts, evaluation: see `RunFolder`.
        study_arms, study_history: of a study.
    """

    label: str
    config: str | None = None
    environment: Mapping[str, Any] | None = None
    explanation: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    history: pd.DataFrame | None = None
    flow: pd.DataFrame | None = None
    conflicts: pd.DataFrame | None = None
    evaluation: pd.DataFrame | None = None
    study: Mapping[str, Any] | None = None
    study_arms: pd.DataFrame | None = None
    study_history: pd.DataFrame | None = None

    @classmethod
    def read(cls, path: str | Path, label: str | None = None) -> RunView:
        """Read a run folder.

        Raises:
            FileNotFoundError: if there is no run in it.
        """
        run = RunFolder.opened(path)
        return cls(
            label=label or run.path.resolve().name,
            config=(run.path / CONFIG).read_text(encoding="utf-8"),
            environment=run.environment,
            explanation=run.explanation,
            data=run.data,
            history=run.history,
            flow=run.flow,
            conflicts=run.conflicts,
            evaluation=run.evaluation,
            study=run.study,
            study_arms=run.table("study_arms"),
            study_history=run.table("study_history"),
        )

    @property
    def main(self) -> str | None:
        """The main network."""
        found = (self.explanation or self.study or {}).get("main")
        return None if found is None else str(found)

    @property
    def entries(self) -> dict[str, list[str]]:
        """The history's entries by member, the main network first, fused last.

        Every figure gives colors in this order.
        """
        explained = self.explanation or {}
        metrics: Mapping[str, list[str]] = explained.get("metrics") or {}
        members = list(explained.get("members") or metrics)
        order = sorted(members, key=lambda name: name != self.main)
        names = dict.fromkeys([*order, *metrics])
        return {name: list(metrics.get(name, ())) for name in names}

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept, from 0."""
        found = (self.environment or {}).get("best_epoch")
        return None if found is None else int(found)


def labels_of(paths: list[Path]) -> list[str]:
    """Return a name for each run: its folder, with the one above where names agree."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    longer = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    if len(set(longer)) == len(longer):
        return longer
    return [f"{place}: {name}" for place, name in enumerate(longer, start=1)]
