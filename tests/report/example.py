"""A run folder and a study with known numbers, as training would leave them."""

from __future__ import annotations

import numpy as np
import pandas as pd

import coloss
from coloss.run_folder import RunFolder

MEMBERS = ["acoustic", "visual", "text"]
OBJECTIVE = (
    "acoustic + visual + text + w*distill(visual >> acoustic, temperature=4)"
    " + w*distill(text >> acoustic) + 0.1*sp(text.hidden >> acoustic.hidden)"
    " + 0.2*mutual(visual, text)"
)
CLASSES = ["anger", "joy", "<img src=x onerror=alert(1)>", "calm"]
EPOCHS = 12


def explanation(objective=OBJECTIVE):
    found = coloss.Objective(objective)
    names = [n for n in found.names if n not in MEMBERS]
    return found.explain(members=MEMBERS, coefficients=dict.fromkeys(names, 0.5))


def summands(objective=OBJECTIVE):
    return [str(summand) for summand in coloss.Objective(objective).summands]


def history(seed=0, level=0.8):
    random = np.random.default_rng(seed)
    epochs = np.arange(EPOCHS)
    found = {"epoch": epochs, "w": np.minimum(epochs / 10, 1.0) * 0.5}
    for place, member in enumerate(MEMBERS):
        fall = np.exp(-epochs / (6 + 2 * place))
        noise = random.normal(0, 0.02, (4, EPOCHS))
        found[member] = 0.3 + 1.1 * fall + noise[0]
        found[f"{member}_loss"] = found[member]
        found[f"{member}_accuracy"] = level + 0.1 - 0.6 * fall + noise[1]
        found[f"val_{member}_loss"] = 0.5 + fall + 0.004 * epochs + noise[2]
        found[f"val_{member}_accuracy"] = level - 0.5 * fall - 0.05 * place + noise[3]
    for place, summand in enumerate(summands()[3:]):
        found[summand] = 0.25 * np.exp(-epochs / 12) / (1 + place)
        found[f"weight/{summand}"] = 1 + 0.2 * place * np.sin(epochs / 5)
    found["loss"] = sum(found[s] for s in summands())
    return pd.DataFrame(found)


def flow():
    edges = (("visual", 0.42), ("visual", 0.2), ("text", 0.31), ("text", 0.11))
    rows = []
    for epoch in range(0, EPOCHS, 2):
        for term, (source, norm) in zip(summands()[3:], edges, strict=True):
            taught = ["visual", "text"] if "mutual" in term else ["acoustic"]
            for learner in taught:
                other = {"visual": "text", "text": "visual"}.get(learner, source)
                rows.append(
                    {
                        "epoch": epoch,
                        "term": term,
                        "sources": other,
                        "learner": learner,
                        "value": 0.2,
                        "norm": norm / (1 + 0.03 * epoch),
                        "own_norm": 0.5,
                        "cosine": 0.6 - 0.03 * epoch - 0.5 * norm,
                    }
                )
    return pd.DataFrame(rows)


def conflicts():
    random = np.random.default_rng(3)
    terms = ["acoustic", *summands()[3:6]]
    return pd.DataFrame(
        {"when": when, "member": "acoustic", "first": a, "second": b, "cosine": cosine}
        for when in ("start", "end")
        for i, a in enumerate(terms)
        for b in terms[i + 1 :]
        for cosine in [float(random.uniform(-0.8, 0.9))]
    )


def evaluation(seed=0):
    random = np.random.default_rng(seed)
    rows, classes = 160, len(CLASSES)
    label = random.integers(0, classes, rows)
    found = {
        "id": [f"row{i}" for i in range(rows)],
        "split": ["validation"] * 60 + ["test"] * 100,
        "label": np.where(np.arange(rows) % 20 == 0, -1, label),
    }
    for prefix, strength in (("", 1.6), ("fused_", 2.2)):
        logits = random.normal(0, 1, (rows, classes))
        logits[np.arange(rows), label] += strength
        odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        found[f"{prefix}predicted"] = odds.argmax(1)
        for i in range(classes):
            found[f"{prefix}probability_{i}"] = odds[:, i]
    return pd.DataFrame(found)


def data():
    rows = {"train": 600, "validation": 60, "test": 100}
    labeled = {"train": 400, "validation": 57, "test": 95}
    return {
        "rows": rows,
        "labeled": labeled,
        "classes": CLASSES,
        "class_counts": {
            split: dict.fromkeys(CLASSES, count // 4)
            for split, count in labeled.items()
        },
        "id": "clip",
        "label": "emotion",
        "members": {
            name: {
                "width": width,
                "dtype": "float32",
                "files": [f"{name}.parquet"],
                "present": {**rows, "train": 600 - 30 * i},
                "missing": {"train": 30 * i, "validation": 0, "test": 0},
                "standardized": True,
            }
            for i, (name, width) in enumerate(
                zip(MEMBERS, (6373, 512, 768), strict=True)
            )
        },
    }


def environment():
    return {
        "command": ["coloss", "train", "emotions.toml"],
        "status": "finished",
        "error": None,
        "started": "2026-11-24T06:00:00+00:00",
        "finished": "2026-11-24T06:03:20+00:00",
        "seconds": 200.0,
        "versions": {"coloss": "0.1.0", "keras": "3.15.1", "jax": "0.9.0"},
        "python": "3.11.2",
        "platform": "Linux",
        "backend": "jax",
        "device": "cpu",
        "memory": 24 * 2**30,
        "seed": 7,
        "parameters": {"acoustic": 210_000, "visual": 18_000, "text": 26_000},
        "best_epoch": 8,
        "monitor": "val_acoustic_accuracy",
    }


def config(objective=OBJECTIVE):
    return {"objective": objective, "training": {"epochs": EPOCHS, "optimizer": "adam"}}


def write_run(path, seed=0, level=0.8):
    """Write a whole run, all files."""
    run = RunFolder(path)
    found = explanation()
    run.write_config(config())
    run.write_json("environment.json", environment())
    content = {
        "explanation": found.to_dict(),
        "text": str(found),
        "latex": coloss.Objective(OBJECTIVE).latex(),
        "main": "acoustic",
        "members": MEMBERS,
        "summands": summands(),
        "metrics": {m: [f"{m}_loss", f"{m}_accuracy"] for m in MEMBERS},
        "directions": {
            f"{m}_{name}": way
            for m in MEMBERS
            for name, way in (("loss", "min"), ("accuracy", "max"))
        },
        "coefficients": {"w": 0.0},
    }
    run.write_json("explanation.json", content)
    run.write_json("data.json", data())
    run.write_table("history", history(seed, level))
    run.write_table("flow", flow())
    run.write_table("conflicts", conflicts())
    run.write_table("evaluation", evaluation(seed))
    return run


ARMS = ("alone", "on <b>paper</b> & $x$", "self-training", "taught")


def study_result():
    """Return a study with planted gains: none, a loss, a little, a lot."""
    from coloss.study.arms import Run
    from coloss.study.result import StudyResult
    from coloss.study.settings import Record

    random = np.random.default_rng(5)
    base = random.normal(0.62, 0.02, 8)
    records = []
    for arm, gain in zip(ARMS, (0.0, -0.06, 0.004, 0.11), strict=True):
        for seed in range(8):
            test = float(base[seed] + gain + random.normal(0, 0.008))
            curve = test - 0.4 * np.exp(-np.arange(12) / 3)
            records.append(
                Record(
                    run=Run(arm, seed, (("w", 0.5),) if arm == "taught" else ()),
                    validation={"acoustic_accuracy": test - 0.01},
                    test={"acoustic_accuracy": test, "acoustic_loss": 1 - test},
                    seconds=1.5,
                    epochs=12,
                    error=None,
                    history=[
                        {"loss": 1.0, "val_acoustic_accuracy": float(v)} for v in curve
                    ],
                )
            )
    return StudyResult(
        records,
        dict(
            zip(ARMS, ("acoustic", "acoustic - visual", None, OBJECTIVE), strict=True)
        ),
        main="acoustic",
        metric="acoustic_accuracy",
        direction="max",
        baseline="alone",
    )
