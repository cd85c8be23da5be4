"""The table of words: every one can be built, evaluated and differentiated."""

from __future__ import annotations

import pytest

from coloss.objective import FUNCTIONS, TRANSFER_TERMS, ObjectiveError, loss
from coloss.objective.functions import (
    COMMON,
    GATE,
    WHOLE_GATE,
    WINDOW,
    add_transfer_term,
    builder,
    call,
    remove_transfer_term,
)
from coloss.objective.words import BATCH, DETACH, POINTWISE

A, B = loss("a"), loss("b")


def test_every_kind_is_known() -> None:
    kinds = {function.kind for function in FUNCTIONS.values()}
    assert kinds == {POINTWISE, BATCH, DETACH, "transfer"}
    assert set(TRANSFER_TERMS) == {
        name for name, function in FUNCTIONS.items() if function.kind == "transfer"
    }


@pytest.mark.parametrize("name", TRANSFER_TERMS)
def test_defaults_obey_their_own_rule(name: str) -> None:
    for key, option in FUNCTIONS[name].options.items():
        assert option.accepts(option.default), key
        for wrong in (float("nan"), float("inf"), "4", object()):
            assert not option.accepts(wrong), key
        # None is a value only where it is the default, or the rule says so.
        said = option.rule.endswith("or None")
        assert option.accepts(None) == (option.default is None or said), key


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_builders_are_the_functions_of_the_package(name: str) -> None:
    function = FUNCTIONS[name]
    if function.kind == "transfer":
        arguments: tuple[object, ...] = (B >> A,)
    else:
        arguments = (A, 0.5, 2)[: function.arguments]
    built = builder(name)
    assert built.__name__ == name
    assert built(*arguments) == call(name, *arguments)
    assert str(built(*arguments)).startswith(f"{name}(")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: call("nope", A), "no function 'nope'"),
        (lambda: call("relu", "a"), "An objective is built from"),
        (lambda: call("relu", A.hidden), "is a place in a network"),
        (lambda: call("relu", A, A), "takes 1 argument; found 2"),
        (lambda: call("distill", A + B), "takes an edge"),
        (lambda: call("distill", (A, A) >> B), "named twice"),
        (lambda: call("distill", B >> A, temperature=0), "a number above 0"),
        (lambda: call("distill", B >> A, column=1), "no option 'column'"),
        (lambda: call("distill", B >> A, name=1), "no option 'name'"),
        (lambda: call("mutual"), "at least 2 different members"),
    ],
)
def test_wrong_calls(build: object, sentence: str) -> None:
    with pytest.raises(ObjectiveError, match=sentence):
        build()  # type: ignore[operator]


def test_self_training_may_name_one_place() -> None:
    assert str(call("pseudo_label", A >> A)) == "pseudo_label(a >> a)"


@pytest.mark.parametrize(
    ("given", "gate", "added"),
    [
        ({}, WHOLE_GATE, set()),
        ({"per_row": True}, GATE, set()),
        ({"embedded": True}, WHOLE_GATE, {"dimension"}),
    ],
)
def test_a_term_of_ones_own_has_the_options_of_its_kind(
    given: dict[str, bool], gate: object, added: set[str]
) -> None:
    add_transfer_term("my_term", {"power": 2.0}, **given)
    try:
        options = FUNCTIONS["my_term"].options
        assert set(options) == {"power", "gate", *added, *COMMON, *WINDOW}
        assert options["gate"] is gate
        assert str(call("my_term", B >> A, power=3)) == "my_term(b >> a, power=3)"
    finally:
        remove_transfer_term("my_term")
    with pytest.raises(ObjectiveError, match="no function 'my_term'"):
        call("my_term", B >> A)


@pytest.mark.parametrize("name", ["relu", "distill", "nobody"])
def test_only_a_term_of_ones_own_is_removed(name: str) -> None:
    with pytest.raises(ValueError, match="no transfer term of a user's own"):
        remove_transfer_term(name)


@pytest.mark.parametrize("name", TRANSFER_TERMS)
def test_every_transfer_term_and_no_other_word_has_a_window(name: str) -> None:
    assert set(WINDOW) <= set(FUNCTIONS[name].options)
    for function in FUNCTIONS.values():
        assert function.kind == "transfer" or not set(WINDOW) & set(function.options)
