"""TensorBoard and MLflow, where they are asked for."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from coloss.cli.config import Config
from coloss.cli.errors import CliError
from coloss.run_folder import TENSORBOARD, RunFolder

_NEEDS = {
    "tensorboard": ("tensorflow", "tensorboard"),
    "mlflow": ("mlflow",),
}
"""What each imports; Keras writes TensorBoard's files through TensorFlow."""


def check_trackers(config: Config) -> None:
    """Refuse a tracker that is not installed, before anything is written.

    Raises:
        CliError: naming what to install.
    """
    for name, packages in _NEEDS.items():
        lost = [
            package for package in packages if not importlib.util.find_spec(package)
        ]
        if getattr(config.output, name) and lost:
            raise CliError(
                f"output.{name} needs what is not installed: pip install "
                f"{' '.join(lost)}"
            )


def trackers(config: Config, run: RunFolder) -> list[Any]:
    """Return the callbacks that a configuration asks for.

    Args:
        config: checked.
        run: whose folder holds TensorBoard's files.
    """
    import keras

    found: list[Any] = []
    if config.output.tensorboard:
        run.growing(f"{TENSORBOARD}/*events.out.tfevents.*")
        folder = str(run.path / TENSORBOARD)
        found.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    if config.output.mlflow:
        found.append(_mlflow(config.output.mlflow))
    return found


def _mlflow(experiment: str) -> Any:
    import keras
    import mlflow

    class Metrics(keras.callbacks.Callback):
        """One MLflow run, with every entry of every epoch."""

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            mlflow.set_experiment(experiment)
            mlflow.start_run()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            # MLflow allows few characters in names; objectives have more.
            entries = {_name(key): float(value) for key, value in (logs or {}).items()}
            mlflow.log_metrics(entries, step=epoch)

        def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
            mlflow.end_run()

    return Metrics()


def _name(entry: str) -> str:
    """Return an entry's name in the characters that MLflow allows."""
    return re.sub(r"[^\w\-. /:]", "_", entry)
