"""Every key and element of a TOML text, with its line."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coloss.cli.config.lines import line_of, lines_of

TEXT = '''\
# a comment with [brackets] = 1
top = 1  # more
[data]
id = "row # no comment"   # = [
"odd.key" = 'x = ]'
long = """
[not.a.table]
key = 2
"""
after = 1979-05-27 07:32:00
numbers = [
  1, 2,  # [
  3,
]
[members.acoustic]
layers = [
  { kind = "dense", units = 64 },
  # another
  { kind = "dropout", rate = 0.5 },
]
model.path = "x"
[[members.acoustic.more]]
a = 1
[[members.acoustic.more]]
a = 2
[members.acoustic.more.below]
b = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("data",), 3),
        (("data", "id"), 4),
        (("data", "odd.key"), 5),
        (("data", "after"), 10),
        (("data", "numbers", 2), 13),
        (("members", "acoustic", "layers", 0, "units"), 17),
        (("members", "acoustic", "layers", 1), 19),
        (("members", "acoustic", "layers", 1, "rate"), 19),
        (("members", "acoustic", "model", "path"), 21),
        (("members", "acoustic", "more", 0, "a"), 23),
        (("members", "acoustic", "more", 1, "a"), 25),
        (("members", "acoustic", "more", 1, "below", "b"), 27),
    ],
)
def test_lines(path, line):
    assert lines_of(TEXT)[path] == line


def test_what_is_missing_is_told_where_it_belongs():
    lines = lines_of(TEXT)
    assert line_of(lines, ("data", "label")) == 3
    assert line_of(lines, ("nowhere",)) is None


def paths(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from paths(inner, (*path, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*path, number)
            yield from paths(inner, (*path, number))


def test_everything_in_the_text_has_a_line():
    found = lines_of(TEXT)
    assert set(paths(tomllib.loads(TEXT))) == set(found)


VALUES = st.recursive(
    st.one_of(st.integers(), st.text(max_size=8), st.booleans(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=4))
def test_any_text_that_tomlkit_writes(content):
    import tomlkit

    text = tomlkit.dumps(content)
    found, lines = lines_of(text), text.count("\n") + 1
    assert all(1 <= line <= lines for line in found.values())
    for path in paths(tomllib.loads(text)):
        assert line_of(found, path) is not None
