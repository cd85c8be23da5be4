"""What a user writes, for a strict type checker: `test_typed_program.py` checks it.

Each `assert_type` says what the reader of a program may rely on. It is never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import keras
import numpy as np
import pandas as pd

import coloss
from coloss import JointModel, Objective, Study
from coloss.callbacks import GradientFlow
from coloss.data import Split
from coloss.joint import NonFiniteLossError
from coloss.objective.explanation import Explanation
from coloss.recipes import learn_from
from coloss.study.arms import Arm


def network(width: int) -> keras.Model:
    return keras.Sequential(
        [keras.Input((width,)), keras.layers.Dense(3, activation="softmax")]
    )


def build() -> JointModel:
    return JointModel({"main": network(4), "helper": network(2)}, fuse="mean")


def train(x: Mapping[str, np.ndarray], y: np.ndarray, path: Path) -> float:
    joint = build()
    joint.compile(
        {"main": keras.optimizers.Adam(1e-3), "*": "sgd"},
        loss="sparse_categorical_crossentropy",
        objective="main + w*helper + distill(helper >> main)",
        coefficients={"w": coloss.Ramp(0.0, 1.0, epochs=5)},
        metrics=["accuracy"],
        weighting="dwa",
        aggregator=coloss.aggregation.UPGrad(),
    )
    explanation = joint.explain(x, y)
    assert_type(explanation, Explanation)
    print(explanation, explanation.ascended)
    flow = GradientFlow()
    try:
        history = joint.fit(
            x,
            y,
            epochs=3,
            callbacks=[flow, keras.callbacks.EarlyStopping(patience=2)],
            validation_split=0.2,
            class_weight={0: 2.0},
        )
    except NonFiniteLossError as error:
        print(error.epoch, error.entries)
        return float("nan")
    print(history.history["loss"], flow.table)
    scores = joint.evaluate(x, y, return_dict=True)
    assert_type(scores, dict[str, float])
    main: keras.Model = joint["main"]
    main.summary()
    joint["main"].summary()
    joint.coefficients["w"].assign(0.5)
    for name in joint:
        print(name, joint.members[name].count_params(), joint.count_params())
    outputs = joint.predict(x, batch_size=64)
    print(outputs["fused"].shape, joint.conflicts, joint.objective.learners)
    joint.save(path / "joint.keras")
    joint.export(path / "main.onnx", member="main")
    return scores["loss"]


def study(data: Split, folder: Path) -> float:
    objective = learn_from("main", ["helper"], weight=0.5)
    assert_type(objective, Objective)
    runs = Study(
        build,
        data,
        arms={"alone": "main", "taught": objective, "more": {"objective": "main"}},
        compile={"optimizer": "adam", "loss": "mse", "metrics": ["accuracy"]},
        coefficients={"w": [0.5, 1.0]},
        seeds=range(3),
        epochs=2,
        main="main",
        controls=["equal weights"],
    )
    arms = runs.arms
    assert_type(arms["alone"], Arm)
    result = runs.run()
    assert_type(result.verdict, str)
    frame: pd.DataFrame = result.frame
    result.compare("taught", "alone").to_csv(folder / "taught.csv")
    result.report(folder / "page.html")
    print(frame.head(), result.seeds_needed("taught", effect=0.01))
    return result.best("taught").learning_rate or 0.0
