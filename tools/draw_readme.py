"""The two pictures of the README: who teaches whom in the demo, and what it gained.

    KERAS_BACKEND=jax python -m tools.draw_readme

runs the study of `coloss demo`, prints its table, and writes `docs/teaching.svg` and
`docs/gain.svg`.
"""

from __future__ import annotations

from pathlib import Path

from coloss.cli.demo_runs import BEST, MAIN, demo_study, explanations
from coloss.report import papers

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Train, print and draw."""
    study = demo_study(seeds=20, epochs=60)
    explained = dict(explanations(study))
    papers.save(papers.teaching(explained[BEST], MAIN), DOCS / "teaching.svg")
    result = study.run()
    print(result)
    papers.save(papers.forest(result.compare(), result.metric), DOCS / "gain.svg")


if __name__ == "__main__":
    main()
