"""Mutation testing: small faults are put into the code, and the tests must notice.

    python -m tools.mutate statistics --sample 60
    python -m tools.mutate src/coloss/objective/dual.py --tests tests/objective

Drives cosmic-ray (`pip install 'coloss[mutate]'`, or `--cosmic-ray PATH` from an
environment of its own) on a copy of the tree, with the operators that make faults a
person could make: another sign, comparison, number, condition. Prints what survived,
and the share that was killed; fails below `--least` percent. With `--sample` that many
mutants are drawn, the same ones every time. It takes hours on a whole room: with
`--folder` the copy stays, and the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

TARGETS = {
    "objective": ("src/coloss/objective", "tests/objective"),
    "transfer": ("src/coloss/transfer", "tests/transfer"),
    "weighting": ("src/coloss/weighting", "tests/weighting"),
    "aggregation": ("src/coloss/aggregation", "tests/aggregation"),
    "values": ("src/coloss/joint/values", "tests/joint/values"),
    "supervision": ("src/coloss/joint/supervision", "tests/joint/supervision"),
    "balance": ("src/coloss/joint/balance", "tests/joint/balance"),
    "statistics": ("src/coloss/study/statistics.py", "tests/study/test_statistics.py"),
}
"""Rooms by a short name: what is mutated, and the tests that must notice."""

OPERATORS = (
    # An operator of Python for another of its kind; `|` and the like stand in
    # annotations only, and replaced by them arithmetic fails at once.
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mod_Mul"),
    *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "Eq_NotEq", "NotEq_Eq"),
    *("AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "Delete_Not", "Delete_USub"),
    *("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
)

CONFIG = """[cosmic-ray]
module-path = "{target}"
timeout = {timeout}
excluded-modules = []
test-command = "{command}"

[cosmic-ray.distributor]
name = "local"
"""


def copied(folder: Path) -> None:
    """Copy what the tests need; the tree itself stays as it is."""
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("src", "tests", "tools", "examples", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)


def chosen(session: Path, sample: int | None) -> int:
    """Leave only the mutants to be tried in a session; return their number."""
    with sqlite3.connect(session) as base:
        rows = base.execute("select job_id, operator_name from mutation_specs")
        jobs = sorted(job for job, name in rows if name.endswith(OPERATORS))
        # Job names are random: draw by place, which is the same every time.
        places = base.execute(
            "select job_id from mutation_specs order by module_path, start_pos_row, "
            "start_pos_col, operator_name, occurrence"
        )
        jobs = [job for (job,) in places if job in set(jobs)]
        if sample is not None and sample < len(jobs):
            jobs = random.Random(0).sample(jobs, sample)
        kept = ",".join(f"'{job}'" for job in jobs)
        for table in ("mutation_specs", "work_items"):
            base.execute(f"delete from {table} where job_id not in ({kept})")
    return len(jobs)


def report(session: Path) -> float:
    """Print the survivors; return the percent that was killed."""
    with sqlite3.connect(session) as base:
        rows = base.execute(
            "select test_outcome, module_path, start_pos_row, operator_name, diff "
            "from work_results join mutation_specs using (job_id) "
            "order by module_path, start_pos_row"
        ).fetchall()
    survivors = [row for row in rows if str(row[0]).lower() == "survived"]
    for _, module, line, operator, diff in survivors:
        changed = [
            one
            for one in (diff or "").splitlines()
            if one[:1] in ("-", "+") and one[:3] not in ("---", "+++")
        ]
        print(f"survived: {module}:{line} {operator.split('/')[-1]}")
        print(*(f"    {one}" for one in changed), sep="\n")
    share = 100 * (1 - len(survivors) / len(rows)) if rows else 0.0
    print(f"killed {len(rows) - len(survivors)} of {len(rows)}: {share:.0f} %")
    return share


def main() -> int:
    """Mutate, test, report; return 1 where too few were killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help=f"a file, or one of {', '.join(TARGETS)}")
    parser.add_argument("--tests", nargs="*", help="tests that must notice")
    parser.add_argument("--sample", type=int, help="how many mutants; default: all")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a mutant")
    parser.add_argument("--least", type=float, default=0.0, help="percent to be killed")
    parser.add_argument("--folder", type=Path, help="where to work, and to go on")
    parser.add_argument("--cosmic-ray", default="cosmic-ray", help="its program")
    given = parser.parse_args()
    target, *tests = TARGETS.get(given.target, (given.target,))
    tests = given.tests or tests
    if not tests or not (ROOT / target).exists():
        parser.error(f"{target} needs to exist, and --tests to be given")
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {' '.join(tests)}"
    with tempfile.TemporaryDirectory() as name:
        folder = (given.folder or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        config, session = folder / "mutate.toml", folder / "mutate.sqlite"
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            # A file that was compiled before it was mutated must not be read.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

        def run(*words: str | Path) -> None:
            subprocess.run(
                [given.cosmic_ray, *map(str, words)],
                cwd=folder,
                env=environment,
                check=True,
            )

        if not session.exists():
            copied(folder)
            config.write_text(
                CONFIG.format(target=target, timeout=given.timeout, command=command)
            )
            run("baseline", config)
            run("init", config, session)
            print(chosen(session, given.sample), "mutants", flush=True)
        try:
            run("exec", config, session)
        except KeyboardInterrupt:
            print("interrupted; so far:")
        return int(report(session) < given.least)


if __name__ == "__main__":
    sys.exit(main())
