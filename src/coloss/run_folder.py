"""The folder of one run: what a training or a study leaves behind.

| file | what |
|---|---|
| `config.toml` | the configuration, complete: every default written out |
| `environment.json` | command, times, status, versions, backend, device, seed |
| `log.jsonl` | one JSON object a line: `event`, `time`, and what belongs to it |
| `history.parquet` | one row an epoch: `epoch` (from 0) and every history entry |
| `explanation.json` | `Explanation.to_dict()`, text, LaTeX, names of the entries |
| `flow.parquet` | one row an edge and measurement: fields of `callbacks.EdgeFlow` |
| `conflicts.parquet` | `when`, `member`, `first`, `second`, `cosine` of two terms |
| `columns.json` | what new files must have: by member, `names` and `fill` |
| `data.json` | rows, classes, and what is missing, by split and member |
| `evaluation.parquet` | one row a validation or test row: label and prediction |
| `models/NAME.keras`, `model.keras` | each network, and the joint model |
| `checkpoints/` | the joint model after an epoch |
| `study.sqlite`, `study*.parquet`, `study.json` | where a study was run |
| `study.sqlite.sha256` | its SHA-256 |
| `resume/` | what an unfinished run has and needs to go on: `callbacks.Checkpoint` |
| `tensorboard/` | files for TensorBoard, where they are asked for |
| `report.html` | the page |
| `.coloss.json` | the mark of the folder: SHA-256 of each file that coloss wrote |

`environment.json` says "finished" last of all: a run that says so is complete.
Whatever was not written is None when it is read. What is not as it was written is
refused by name, never read. No Keras is imported here, and pandas only for tables.
"""

from __future__ import annotations

import datetime
import json
import math
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coloss.checksum import BESIDE, DamagedFileError, check_beside
from coloss.owned_folder import OwnedFolder

if TYPE_CHECKING:
    import pandas as pd

CONFIG, ENVIRONMENT, LOG = "config.toml", "environment.json", "log.jsonl"
EXPLANATION, DATA, STUDY = "explanation.json", "data.json", "study.json"
COLUMNS, REPORT, STORE = "columns.json", "report.html", "study.sqlite"
MODEL, LAST = "model.keras", "checkpoints/last.keras"
TENSORBOARD, RESUME = "tensorboard", "resume"
BEGUN = f"{RESUME}/model.keras"
"""The joint model before its first step, into which checkpoints are read."""
TABLES = (
    "history",
    "flow",
    "conflicts",
    "evaluation",
    "study",
    "study_arms",
    "study_history",
)
"""The tables of a run; each is the Parquet file of its name."""
FILES = (
    *(CONFIG, ENVIRONMENT, LOG, EXPLANATION, DATA, STUDY, COLUMNS, REPORT, STORE),
    *(f"{name}.parquet" for name in TABLES),
    *(MODEL, LAST, f"{STORE}{BESIDE}"),
)
"""What every run may write; beside them the networks, by the members' names."""


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run.

    Every file but the log is written whole or not at all, and none is replaced that
    coloss did not write.

    Attributes:
        path: the folder.

    Examples:
        >>> import tempfile
        >>> run = RunFolder(Path(tempfile.mkdtemp()) / "run")
        >>> run.write_json("data.json", {"rows": {"train": 80}})
        >>> run.data["rows"], run.history
        ({'train': 80}, None)
    """

    path: Path

    def __post_init__(self) -> None:
        """Take text as a path, too."""
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def opened(cls, path: str | Path) -> RunFolder:
        """Return the run in a folder that exists, once all of its files are compared.

        Raises:
            FileNotFoundError: if there is no folder, or it holds no run.
            DamagedFileError: naming a file that is not as coloss wrote it.
        """
        folder = cls(Path(path))
        if not folder.path.is_dir():
            raise FileNotFoundError(f"there is no folder '{path}'.")
        if not (folder.path / CONFIG).exists():
            raise FileNotFoundError(
                f"'{path}' holds no run: it has no {CONFIG}. `coloss train` and "
                "`coloss study` write one."
            )
        folder.owned.check()
        if (folder.path / STORE).exists():
            check_beside(folder.path / STORE)
        return folder

    # --- what the files say ------------------------------------------------------

    @property
    def config(self) -> dict[str, Any] | None:
        """The configuration, complete."""
        text = self._text(CONFIG)
        try:
            return None if text is None else tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._no_file_of_a_run(CONFIG, error) from None

    @property
    def environment(self) -> dict[str, Any] | None:
        """How it was run.

        Keys: `command` (list), `folder` (that paths in the configuration are relative
        to), `status` ("running", "finished", "interrupted",
        "failed"), `error` (text or None), `started`, `finished` (ISO 8601),
        `seconds`, `versions` (by package), `python`, `platform`, `backend`, `device`,
        `memory` (bytes of the machine), `seed`, `parameters` (by member),
        `best_epoch` (from 0, or None), `monitor` (the entry it is best in).
        """
        return self._json(ENVIRONMENT)

    @property
    def explanation(self) -> dict[str, Any] | None:
        """What the objective does to each network.

        Keys: `explanation` (`Explanation.to_dict()`, with `flow` and `cosines` of one
        training batch before the first step), `text`, `latex`, `main` (the main
        member), `members` (names), `summands` (history entries of the objective's
        terms, in order), `metrics` (history entries by member, without `val_`; also
        of "fused"), `directions` ("min", "max" or None, by entry), `coefficients`
        (their values at the start).
        """
        return self._json(EXPLANATION)

    @property
    def data(self) -> dict[str, Any] | None:
        """What it was trained on.

        Keys: `rows` and `labeled` (numbers by split: train, validation, test),
        `unlabeled` (numbers by what was found in place of a label),
        `classes` (names, in the order of the outputs; None for numbers to predict),
        `class_counts` (by split, then class name), `id` (its column or None),
        `label`, `members`: by name `width`, `dtype`, `files`, `present` and
        `missing` (rows by split), `labeled` (rows by split that have both),
        `class_counts` (of these rows, as above), `dropped` (rows that the
        labels do not have), `left_out` (columns: `name`, `reason`, `example`),
        `standardized`.
        """
        return self._json(DATA)

    @property
    def columns(self) -> dict[str, Any]:
        """By member, `names` of its features (none for arrays) and `fill` for gaps."""
        return self._json(COLUMNS) or {}

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every event, in order; a last line that was cut off is left out."""
        found = []
        for line in (self._text(LOG) or "").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @property
    def history(self) -> pd.DataFrame | None:
        """One row an epoch: `epoch` and every entry of Keras's history.

        Of a run that has not ended, what its log tells.
        """
        found = self.table("history")
        return self._logged_history() if found is None else found

    def _logged_history(self) -> pd.DataFrame | None:
        import pandas as pd

        # An epoch may be taken again by a run that goes on.
        epochs = {e["epoch"]: e for e in self.log if e.get("event") == "epoch"}
        rows = [epochs[number] for number in sorted(epochs)]
        frame = pd.DataFrame(rows)
        return None if frame.empty else frame.drop(columns=["event", "time", "seconds"])

    @property
    def flow(self) -> pd.DataFrame | None:
        """One row an edge and measurement.

        Columns: `epoch` (from 0), `term`, `sources` (with ", " between), `learner`,
        `value`, `norm`, `own_norm`, `cosine`.
        """
        return self.table("flow")

    @property
    def conflicts(self) -> pd.DataFrame | None:
        """Two terms' gradients at the same member, on one training batch.

        Columns: `when` ("start" or "end"), `member`, `first`, `second`, `cosine`.
        """
        return self.table("conflicts")

    @property
    def evaluation(self) -> pd.DataFrame | None:
        """One row a validation or test row.

        Columns: `id`, `split`, `label`, `predicted`, and with classes
        `probability_0`, `probability_1`, ... of the main network; `fused_predicted`
        and `fused_probability_0`, ... where there is a fused prediction. Labels and
        predictions are class indices (-1: unlabeled; the input of a prediction was
        missing), or numbers (NaN).
        """
        return self.table("evaluation")

    @property
    def study(self) -> dict[str, Any] | None:
        """A study's `objectives` (by arm), `main`, `metric`, `direction`, `baseline`.

        `controls` are arms, `over_controls` rows of `StudyResult.over_controls`,
        `beaten` is `StudyResult.beaten`.

        Its runs are the table "study" (`StudyResult.frame`), its comparison
        "study_arms" (`StudyResult.compare()` with `arm` as a column), its epochs
        "study_history". `text` is what the study prints.
        """
        return self._json(STUDY)

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table, one of `TABLES`; None where it was not written."""
        path = self._table_path(name)
        if self.owned.read(path.name) is None:
            return None
        from coloss.data.readers import DataError
        from coloss.data.readers.columnar import read_columnar

        try:
            return read_columnar(path).to_pandas()
        except DataError as error:
            raise self._no_file_of_a_run(path.name, error) from None

    # --- writing -----------------------------------------------------------------

    @property
    def report_path(self) -> Path:
        """Where the page is."""
        return self.path / REPORT

    @property
    def owned(self) -> OwnedFolder:
        """Which of the files are coloss's own."""
        return OwnedFolder(self.path)

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Give a place to write a file of the run, whole or not at all.

        Args:
            name: of the file, with `/` where it is in a folder inside.

        Raises:
            FileExistsError: if a file is there that coloss did not write.
        """
        return self.owned.writing(name)

    def growing(self, name: str) -> Path:
        """Return the path of a file, or a pattern of files, that grows bit by bit.

        Raises:
            FileExistsError: if a file is there that coloss did not write.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        return self.owned.growing(name)

    def resume_folder(self) -> Path:
        """Return the folder of what an unfinished run needs to go on.

        Raises:
            FileExistsError: if a file is there that coloss did not write.
        """
        return self.growing(f"{RESUME}/*").parent

    def clear_resume(self) -> None:
        """Delete what only an unfinished run needs."""
        shutil.rmtree(self.path / RESUME, ignore_errors=True)

    @property
    def status(self) -> str | None:
        """How it ended, or "running": also if it was killed."""
        return (self.environment or {}).get("status")

    @property
    def can_resume(self) -> bool:
        """Whether the run was killed or interrupted, and can go on."""
        status = self.status
        begun = any((self.path / RESUME).glob("step-*"))
        return begun and status in ("running", "interrupted", "failed")

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the configuration; what is None is left out."""
        import tomlkit

        self._write(CONFIG, tomlkit.dumps(without_none(config)).encode())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the JSON files."""
        text = json.dumps(json_safe(content), indent=1, allow_nan=False)
        self._write(name, f"{text}\n".encode())

    def write_table(
        self, name: str, rows: pd.DataFrame | Iterable[Mapping[str, Any]]
    ) -> None:
        """Write a table, one of `TABLES`; a table without rows is not written."""
        import io

        import pandas as pd

        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        path = self._table_path(name)
        if frame.empty:
            return
        content = io.BytesIO()
        frame.to_parquet(content, index=False)
        self._write(path.name, content.getvalue())

    def append_log(self, event: str, **fields: object) -> None:
        """Add a line to the log; with the event "end" it is complete."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps(json_safe({"event": event, "time": now, **fields}))
        with self.growing(LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if event == "end":
            self.owned.finished(LOG)

    def _table_path(self, name: str) -> Path:
        if name not in TABLES:
            raise ValueError(f"no table {name!r} (tables: {', '.join(TABLES)}).")
        return self.path / f"{name}.parquet"

    def _write(self, name: str, content: bytes) -> None:
        with self.writing(name) as partial:
            partial.write_bytes(content)

    def _text(self, name: str) -> str | None:
        content = self.owned.read(name)
        return None if content is None else content.decode("utf-8", "replace")

    def _json(self, name: str) -> dict[str, Any] | None:
        text = self._text(name)
        try:
            found = None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._no_file_of_a_run(name, error) from None
        if not isinstance(found, dict | None):
            raise self._no_file_of_a_run(name, "it holds no table")
        return found

    def _no_file_of_a_run(self, name: str, why: object) -> DamagedFileError:
        return DamagedFileError(
            f"'{self.path / name}' is none that coloss wrote: "
            f"{(str(why).splitlines() or ['unknown'])[0]}"
        )


def json_safe(value: Any) -> Any:
    """Return a value in which numbers that JSON does not have are None."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def without_none(value: Any) -> Any:
    """Return nested tables and lists without the entries that are None."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_none(inner) for inner in value]
    return value
