"""What the parser refuses, with the column and the sentence; nothing runs."""

from __future__ import annotations

import ast
import warnings

import pytest

from coloss.objective import FUNCTIONS, ObjectiveError, parse, parser
from coloss.objective.expression import Number

# (text, column from 0 or None, part of the sentence)
BAD = [
    ("", None, "the objective is empty"),
    (" \n\t ", None, "the objective is empty"),
    ("a +", None, "not an expression"),
    ("  b +* a", 5, "not an expression"),
    ("a b", 2, "not an expression"),
    ("a = 1", None, "not an expression"),
    ("(a", 0, "not an expression"),
    ("a)", 1, "not an expression"),
    ("import os", None, "not an expression"),
    ("sp(a['x >> b)", 5, "not an expression"),
    ("a; b", 1, "character ';' cannot stand"),
    ("a # b", 2, "character '#' cannot stand"),
    ("a + \\\n b", 4, "cannot stand"),
    ("a + \x00b", 4, "cannot stand"),
    ("a + \u200bb", 4, "cannot stand"),
    ("a + \ufeffb", 4, "cannot stand"),
    ("\uff41 + b", 0, "character '\uff41' cannot stand"),
    ("\U0001d41a + b", 0, "cannot stand"),
    ("a + ﬁ", 4, "cannot stand"),
    ("lambda: a", 0, "Lambda is not part"),
    ("a + (lambda x: x)(b)", 4, "only the functions of the language"),
    ("[a for a in b]", 0, "ListComp is not part"),
    ("a + {x for x in b}", 4, "SetComp is not part"),
    ("(x for x in b)", 0, "GeneratorExp is not part"),
    ("{1: a}", 0, "Dict is not part"),
    ("f'{a}'", 0, "JoinedStr is not part"),
    ("2*f'{a}'", 2, "JoinedStr is not part"),
    ("(a := b)", 1, "NamedExpr is not part"),
    ("a if b else c", 0, "IfExp is not part"),
    ("a and b", 0, "BoolOp is not part"),
    ("a < b", 0, "Compare is not part"),
    ("a, b", 0, "Tuple is not part"),
    ("[a]", 0, "List is not part"),
    ("relu(*a)", 5, "Starred is not part"),
    ("await a", 0, "Await is not part"),
    ("(yield a)", 1, "Yield is not part"),
    ("...", 0, "expected a number, found Ellipsis"),
    ("2j*a", 0, "expected a number, found 2j"),
    ("b'x'*a", 0, "expected a number, found b'x'"),
    ("'a'", 0, "expected a number, found 'a'"),
    ("None", 0, "expected a number, found None"),
    ("a*True", 2, "expected a number, found True"),
    ("a + 1e999", 4, "must be finite"),
    ("9" * 400 + "*a", 0, "must be finite"),
    ("9**9**9", 0, "has no finite value"),
    ("a*(1/0)", 3, "has no finite value"),
    ("a/(2 - 2)", 0, "has no finite value"),
    ("a*(-8)**0.5", 2, "has no finite value"),
    ("a // b", 0, "operator FloorDiv"),
    ("a % b", 0, "operator Mod"),
    ("a ^ b", 0, "operator BitXor"),
    ("a @ b", 0, "operator MatMult"),
    ("a << b", 0, "operator LShift"),
    ("+a", 0, "minus sign"),
    ("b - ~a", 4, "minus sign"),
    ("not a", 0, "minus sign"),
    ("relu", 0, "relu is a function: write relu(...)"),
    ("a + distill", 4, "distill is a function"),
    ("foo(a)", 0, "no function 'foo'"),
    ("a + distil(b >> a)", 4, "did you mean 'distill'?"),
    ("Relu(a)", 0, "did you mean 'relu'?"),
    ("__import__('os')", 0, "no function '__import__'"),
    ("eval('1')", 0, "no function 'eval'"),
    ("a.__class__", 0, "is a place in a network"),
    ("a.__class__.__bases__[0]", 0, "a name in quotes"),
    ("a.hidden()", 0, "only the functions of the language can be called"),
    ("().__class__", 0, "Tuple is not part"),
    ("(1).real", 0, "a layer is named after a member"),
    ("a.hidden", 0, "is a place in a network"),
    ("a >> b", 0, "is a place in a network"),
    ("c + (a >> b)", 5, "is a place in a network"),
    ("relu(a >> b)", 0, "relu() takes losses and numbers; found the edge"),
    ("relu(a.hidden)", 0, "is a place in a network"),
    ("relu()", 0, "relu() takes 1 argument; found 0"),
    ("a + max(a)", 4, "max() takes 2 arguments; found 1"),
    ("clip(a, 1)", 0, "clip() takes 3 arguments; found 2"),
    ("distill(a)", 0, "takes an edge source >> learner"),
    ("distill(a, b)", 0, "takes 1 argument; found 2"),
    ("distill(a + b)", 0, "takes an edge"),
    ("distill(a >> a)", 0, "cannot teach itself"),
    ("sp(a.x >> a.x)", 0, "cannot teach itself"),
    ("sp((a, a) >> b)", 0, "a source is named twice"),
    ("sp(() >> b)", 3, "at least one source"),
    ("sp(a >> b >> c)", 3, "Each end of `>>`"),
    ("sp(a + b >> c)", 3, "Each end of `>>`"),
    ("sp(2 >> a)", 3, "Each end of `>>`"),
    ("sp(a >> (b, c))", 8, "Tuple is not part"),
    ("sp(a[0] >> b)", 3, "a name in quotes"),
    ("sp(a[b] >> c)", 3, "a name in quotes"),
    ("sp(a[1:2] >> c)", 3, "a name in quotes"),
    ("mutual(a)", 0, "at least 2 different members"),
    ("mutual(a, a)", 0, "at least 2 different members"),
    ("mutual(a, 2)", 0, "takes an edge"),
    ("distill(a >> b, heat=2)", 0, "no option 'heat'"),
    ("distill(a >> b, temprature=2)", 0, "did you mean 'temperature'?"),
    ("distill(a >> b, column=2)", 0, "no option 'column'"),
    ("distill(a >> b, name=2)", 0, "no option 'name'"),
    ("distill(a >> b, temperature=0)", 0, "must be a number above 0; found 0"),
    ("distill(a >> b, temperature=-1)", 0, "must be a number above 0"),
    ("distill(a >> b, temperature=True)", 0, "must be a number above 0"),
    ("distill(a >> b, temperature='4')", 0, "must be a number above 0"),
    ("distill(a >> b, temperature=None)", 0, "must be a number above 0"),
    ("distill(a >> b, temperature=1e999)", 28, "must be finite"),
    ("distill(a >> b, temperature=w)", 28, "an option's value is a number"),
    ("distill(a >> b, detach=1)", 0, "must be True or False"),
    ("distill(a >> b, detach=True, detach=False)", 29, "is given twice"),
    ("distill(a >> b, **c)", 0, "** is not part of a call"),
    ("pseudo_label(a, threshold=1)", 0, "up to, not including, 1"),
    ("relu(a, x=1)", 0, "no option 'x'"),
]


@pytest.mark.parametrize(("text", "column", "sentence"), BAD)
def test_refused_with_column_and_sentence(
    text: str, column: int | None, sentence: str
) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse(text)
    assert sentence in str(caught.value)
    if column is not None:
        assert caught.value.column == column
        assert f"at column {column + 1}\n" in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, b"a", ["a"]])
def test_only_text_is_parsed(value: object) -> None:
    with pytest.raises(TypeError, match="must be text"):
        parse(value)  # type: ignore[arg-type]


HOSTILE = {
    "one million characters": "a" * 1_000_000,
    "parentheses, 10000 deep": "(" * 10_000 + "a" + ")" * 10_000,
    "parentheses that fit": "(" * 1_900 + "a" + ")" * 1_900,
    "minus signs": "-" * 3_900 + "a",
    "a long sum": "+".join("a" * 1_900),
    "a tower of powers": "**".join("a" * 1_300),
    "a long layer path": "a" + ".b" * 1_900,
    "a tower of brackets": "a" + "['b']" * 700,
    "nested calls": "relu(" * 700 + "a" + ")" * 700,
    "nested edges": "sp(" * 1_000 + "a >> b" + ")" * 1_000,
    "a huge integer": "9" * 3_990,
    "a huge power": "9**9**9**9*a",
    "an unknown long name": "x" * 3_900 + "(a)",
    "an unclosed string": "sp(a['" + "x" * 3_900,
    "f-string nested": "f'{" * 200,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse(text)
    assert len(str(caught.value)) < 10_000


def test_a_long_text_never_reaches_the_syntax_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing but its length is looked at."""
    monkeypatch.setattr(parser, "ast", None)
    monkeypatch.setattr(parser, "unicodedata", None)
    with pytest.raises(ObjectiveError, match="at most 4000 characters; found 4001"):
        parse("a" * 4_001)


def test_a_deep_tree_is_left_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk stops at the limit instead of visiting everything below it."""
    visited = []
    original = parser._Builder.any

    def counted(self: parser._Builder, node: ast.AST, depth: int) -> object:
        visited.append(depth)
        return original(self, node, depth)

    monkeypatch.setattr(parser._Builder, "any", counted)
    with pytest.raises(ObjectiveError, match="nested deeper than 150 levels"):
        parse("+".join("a" * 1_900))
    assert max(visited) == parser.MAX_DEPTH + 1
    assert len(visited) == parser.MAX_DEPTH + 1


def test_the_deepest_allowed_sum_is_read() -> None:
    assert len(list(parse("+".join("a" * parser.MAX_DEPTH)).walk())) == 299


@pytest.mark.parametrize(
    "level", ["-({})", "relu({})", "a + ({})", "({}) + a", "({})**2"]
)
def test_each_kind_of_nesting_is_one_level(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "MAX_DEPTH", 7)
    text = "a"
    for _ in range(6):
        text = level.format(text)
    parse(text)
    with pytest.raises(ObjectiveError, match="nested deeper than 7 levels"):
        parse(level.format(text))


def test_each_layer_is_one_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the call, the edge and the member."""
    monkeypatch.setattr(parser, "MAX_DEPTH", 7)
    for text in ("sp(a{} >> b)", "sp(b >> a{})", "sp((c, a{}) >> b)"):
        parse(text.format(".x" * 4))
        with pytest.raises(ObjectiveError, match="nested deeper than 7 levels"):
            parse(text.format(".x" * 5))


def test_nothing_is_executed(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("print(1)", "exec('print(1)')", "relu(print(1))"):
        with pytest.raises(ObjectiveError):
            parse(text)
    assert capsys.readouterr().out == ""


def test_python_warnings_stay_inside() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ObjectiveError):
            parse("1if a else b")


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("0x10", 16.0), ("1_000", 1000.0), ("-3", -3.0), ("1e-3", 0.001)],
)
def test_numbers(text: str, value: float) -> None:
    assert parse(text) == Number(value)


def test_line_breaks_and_comment_signs_in_names_are_text() -> None:
    assert parse(" a\n\t+ b\r\n") == parse("a + b")
    assert str(parse("sp(a['x#1; y'] >> b)")) == 'sp(a["x#1; y"] >> b)'


def test_columns_count_characters() -> None:
    """`ast` counts bytes; a name with accents must not shift the pointer."""
    with pytest.raises(ObjectiveError) as caught:
        parse("  éé*é + 2*foo(a)")
    assert caught.value.column == 11
    assert str(caught.value).splitlines()[-1].index("^") == 11 + 2


def test_pointer_of_a_long_text_shows_the_place() -> None:
    text = " + ".join(["acoustic"] * 40) + " + foo(a)"
    with pytest.raises(ObjectiveError) as caught:
        parse(text)
    picture, pointer = str(caught.value).splitlines()[-2:]
    assert picture[pointer.index("^") :].startswith("foo(a)")
    assert len(picture) < 90


def test_every_function_can_be_written() -> None:
    arguments = {None: "a, b", 1: "a", 2: "a, b", 3: "a, 0, 1"}
    for name, function in FUNCTIONS.items():
        inside = arguments[function.arguments]
        if function.kind == "transfer" and function.members == "none":
            inside = "a >> b"
        assert str(parse(f"{name}({inside})")) == f"{name}({inside})"
