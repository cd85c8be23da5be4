"""What is wrong in a configuration, as sentences with file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coloss.cli.config.lines import Path, line_of
from coloss.names import nearest

_QUOTED = re.compile(r"'([^']*)'")
_MESSAGES = {
    "missing": "is required and missing",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list, as [...]",
    "string_type": 'must be text, as "..."',
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} entries",
    "string_too_short": "must not be empty",
    "union_tag_not_found": "needs the key 'kind'",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: keys and indices from the top of the file.
        message: the rest of a sentence that begins with the path.
    """

    path: Path
    message: str

    def told(self, name: str, lines: Mapping[Path, int]) -> str:
        """Return the sentence with file, line and key."""
        line = line_of(dict(lines), self.path)
        place = name if line is None else f"{name}:{line}"
        key = dotted(self.path)
        return f"{place}: {f'{key} ' if key else ''}{self.message}"


def dotted(path: Path) -> str:
    """Return a path as `members.acoustic.layers[0].units`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def from_pydantic(
    errors: Iterable[Mapping[str, Any]], raw: Any, schema: Mapping[str, Any]
) -> list[Problem]:
    """Return pydantic's findings as problems of the file.

    Args:
        errors: `ValidationError.errors()`.
        raw: what was validated.
        schema: JSON Schema of the configuration, for the keys that exist.
    """
    problems = []
    for error in errors:
        path = _path(error["loc"], raw, error["type"] == "missing")
        problems.append(Problem(path, _message(error, path, raw, schema)))
    # An unknown key explains a missing one; tell it first.
    order = [error["type"] != "extra_forbidden" for error in errors]
    ranked = sorted(zip(order, range(len(problems)), problems, strict=True))
    return [problem for _, _, problem in ranked]


def _path(location: Sequence[str | int], raw: Any, missing: bool) -> Path:
    """Return a location without the names of union branches, which no file has."""
    path: list[str | int] = []
    for place, part in enumerate(location):
        inside = (isinstance(raw, dict) and part in raw) or (
            isinstance(raw, list) and isinstance(part, int)
        )
        if inside:
            raw = raw[part]
            path.append(part)
        elif missing and place == len(location) - 1:
            path.append(part)
    return tuple(path)


def _message(
    error: Mapping[str, Any], path: Path, raw: Any, schema: Mapping[str, Any]
) -> str:
    kind, context = error["type"], error.get("ctx", {})
    found = f"; found {_shown(error['input'])}"
    if kind == "extra_forbidden":
        keys = keys_at(schema, path[:-1], raw)
        return f"is no key{nearest(str(path[-1]), keys)} (keys: {', '.join(keys)})"
    if kind == "literal_error":
        return f"must be {_choices(context['expected'], error['input'])}{found}"
    if kind == "union_tag_invalid":
        tag = context["tag"]
        return (
            f"has kind {tag!r}, which is none of {context['expected_tags']}"
            f"{nearest(tag, _QUOTED.findall(context['expected_tags']))}"
        )
    if kind == "missing":
        return _MESSAGES[kind]
    message = _MESSAGES.get(kind, error["msg"][:1].lower() + error["msg"][1:])
    return f"{message.format(**context)}{found}"


def _choices(expected: str, given: Any) -> str:
    if not isinstance(given, str):
        return expected
    return expected + nearest(given, _QUOTED.findall(expected))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def keys_at(schema: Mapping[str, Any], path: Path, raw: Any) -> list[str]:
    """Return the keys that exist at a place.

    Args:
        schema: JSON Schema of the whole.
        path: of a table.
        raw: the whole content, which tells what kind of thing is there.
    """
    node: Mapping[str, Any] = schema
    for part in path:
        node = _below(schema, node, part, raw)
        raw = raw[part]
    return sorted(_chosen(schema, node, raw).get("properties", {}))


def _below(
    schema: Mapping[str, Any], node: Mapping[str, Any], part: str | int, raw: Any
) -> Mapping[str, Any]:
    node = _chosen(schema, node, raw)
    if isinstance(part, int):
        return node.get("items", {})
    inner = node.get("properties", {}).get(part)
    return node.get("additionalProperties", {}) if inner is None else inner


def _chosen(
    schema: Mapping[str, Any], node: Mapping[str, Any], raw: Any
) -> Mapping[str, Any]:
    """Return the schema of what `raw` is, references and unions resolved."""
    if "$ref" in node:
        return schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    branches = [
        _chosen(schema, branch, raw)
        for branch in (*node.get("oneOf", ()), *node.get("anyOf", ()))
    ]
    tables = [branch for branch in branches if branch.get("type") != "null"]
    tagged = [branch for branch in tables if _fits(branch, raw)]
    wanted = "object" if isinstance(raw, dict) else "array"
    for branch in tagged or tables:
        if branch.get("type") == wanted:
            return branch
    return node


def _fits(branch: Mapping[str, Any], raw: Any) -> bool:
    """Return whether a table has the tag of a union's branch."""
    for key in ("kind", "schedule"):
        constant = branch.get("properties", {}).get(key, {}).get("const")
        if isinstance(raw, dict) and constant is not None:
            return raw.get(key) == constant
    return False
