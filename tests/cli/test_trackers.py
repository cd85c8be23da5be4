"""MLflow's own store holds what was trained; what is not installed is told."""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest

from coloss.cli.config import parse
from coloss.cli.errors import CliError
from coloss.cli.runs.trackers import check_trackers, trackers
from coloss.run_folder import RunFolder

TEXT = """\
[data]
labels = "l.csv"
label = "y"
[members.a]
data = "a.csv"
[output]
"""


def test_mlflow_gets_every_epoch_under_a_name_that_it_allows(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    # Its store of plain files, which needs no database.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(str(tmp_path / "mlruns"))
    config = parse(TEXT + 'mlflow = "digits"\n', "c.toml")
    (callback,) = trackers(config, RunFolder(tmp_path / "run"))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, {"0.5*distill(a >> b)": np.float32(2.5), "loss": 3.0})
    callback.on_epoch_end(1, {"loss": 2.0})
    callback.on_train_end()
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("digits")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (
        run.data.metrics["0.5_distill(a __ b)".replace("(", "_").replace(")", "_")]
        == 2.5
    )
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(0, 3.0), (1, 2.0)]


def test_what_is_not_installed_is_told(monkeypatch):
    config = parse(TEXT + 'mlflow = "x"\ntensorboard = true\n', "c.toml")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CliError, match="pip install tensorflow tensorboard"):
        check_trackers(config)
    check_trackers(parse(TEXT, "c.toml"))
