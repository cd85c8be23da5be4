"""The table of transfer terms agrees with the functions and with the language."""

from __future__ import annotations

import inspect

import pytest

from coloss import transfer
from coloss.objective.functions import FUNCTIONS, TRANSFER_TERMS
from coloss.transfer import TERMS, Term
from coloss.transfer.terms import (
    CLASSES,
    FEATURES,
    LABELED,
    LOSSES,
    OUTPUTS,
    PRESENT,
    UNLABELED,
)

pytestmark = pytest.mark.backend

# Options that the joint model reads; the term's function never sees them.
OF_THE_MODEL = {
    "detach",
    "gate",
    "weights",
    "start",
    "stop",
    "warmup",
    "schedule",
    "dimension",
}
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=list(TERMS))


def test_the_language_has_the_same_words() -> None:
    assert set(TERMS) == set(TRANSFER_TERMS)


@every_term
def test_options_are_those_of_the_language(term: Term) -> None:
    words = FUNCTIONS[term.name].options
    of_the_term = {k: o.default for k, o in words.items() if k not in OF_THE_MODEL}
    assert of_the_term == term.options


@every_term
def test_options_are_those_of_the_function(term: Term) -> None:
    parameters = inspect.signature(term.function).parameters
    for key, default in term.options.items():
        assert parameters[key].default == default
    beside = {"learner", "source", "sources", "mask", "weights", "labels"}
    beside |= {"source_masks", "raw_variance", "per_row"}
    assert set(parameters) - set(term.options) <= beside


@every_term
def test_what_an_entry_promises_is_what_the_function_takes(term: Term) -> None:
    parameters = inspect.signature(term.function).parameters
    names = list(parameters)
    assert names[0] == "learner"
    kinds = {"none": "mask", "one": "source", "many": "sources"}
    if term.sources == "none":
        assert "source" not in names
        assert "sources" not in names
    else:
        assert names[1] == kinds[term.sources]
    assert ("labels" in names) == (term.labels != "none")
    if term.labels == "required":
        assert parameters["labels"].default is inspect.Parameter.empty
        assert term.scope == LABELED
    elif term.labels == "optional":
        assert parameters["labels"].default is None
    assert term.masked
    assert parameters["mask"].default is None
    assert ("weights" in names) == ("per_row" in names) == term.per_row


@every_term
def test_entries_are_well_formed(term: Term) -> None:
    assert term.level in (CLASSES, OUTPUTS, FEATURES, LOSSES)
    assert term.scope in (PRESENT, LABELED, UNLABELED)
    assert term.min_rows >= 1
    assert term.paper
    assert getattr(transfer, term.name) is term.function
    assert term.name in transfer.__all__


@every_term
def test_a_row_gate_needs_rows_and_one_source(term: Term) -> None:
    gate = FUNCTIONS[term.name].options.get("gate")
    if gate is not None:
        assert gate.accepts("row") == term.per_row
        assert gate.accepts("network")
        assert term.sources == "one"


@every_term
def test_bug_source_not_detached(term: Term) -> None:
    # Nobody has to remember: the language detaches unless told otherwise.
    detach = FUNCTIONS[term.name].options.get("detach")
    if term.name in ("pseudo_label", "coteach"):
        assert detach is None
    else:
        assert detach is not None
        assert detach.default is True


def test_public_names_exist() -> None:
    for name in transfer.__all__:
        assert hasattr(transfer, name), name
    assert transfer.__all__ == sorted(transfer.__all__)
