"""Processes that Keras cannot join are refused, with the way out."""

from __future__ import annotations

import json

import pytest

from coloss.joint.checks.devices import check_ranks


def test_ranks_of_torch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RuntimeError, match=r"rank 1 of 2 .*KERAS_BACKEND=jax"):
        check_ranks("torch")
    check_ranks("jax")
    monkeypatch.setenv("WORLD_SIZE", "1")
    check_ranks("torch")


def test_workers_of_tensorflow(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(RuntimeError, match=r"2 workers.*MirroredStrategy"):
        check_ranks("tensorflow")
    for alone in ("", "no JSON", json.dumps({"cluster": {"worker": ["a:1"]}})):
        monkeypatch.setenv("TF_CONFIG", alone)
        check_ranks("tensorflow")
