"""Methods by name: what a user may write for one, and what a file holds of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, TypeVar

from coloss.checking import Rules
from coloss.names import nearest_name


@dataclass(frozen=True)
class Configured:
    """A frozen dataclass of numbers and words, which JSON can hold.

    Raises:
        TypeError: if a field that has a rule is no number.
        ValueError: if it does not obey its rule.
    """

    rules: ClassVar[Rules] = {}
    """What fields must be, by name."""

    def __post_init__(self) -> None:
        """Check the fields that have a rule."""
        for name, rule in self.rules.items():
            rule.set_field(self, name)

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal object."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make an object from its configuration."""
        return cls(**config)


Method = TypeVar("Method", bound=Configured)


class Registry(Mapping[str, type[Method]]):
    """The methods of one kind, by name. A name is found in any case, `-` or `_` or not.

    Args:
        argument: the argument of `compile` that takes them, for messages.
        key: under which key a configuration holds the name.
        module: where a user finds the classes, for messages.
        base: what every method is.
        classes: the methods by the name that is saved.
    """

    def __init__(
        self,
        argument: str,
        key: str,
        module: str,
        base: type[Method],
        classes: Mapping[str, type[Method]],
    ) -> None:
        """Store the table."""
        self._argument, self._key, self._module = argument, key, module
        self._base, self._classes = base, dict(classes)

    def __getitem__(self, name: str) -> type[Method]:
        """Return the class that has exactly this name."""
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._classes)

    def __len__(self) -> int:
        """Return the number of methods."""
        return len(self._classes)

    def resolve(self, value: object) -> Method:
        """Return a method for what a user may write.

        Args:
            value: a method; its class; its name; or what `to_config` returned.

        Raises:
            TypeError: if it is something else.
            ValueError: if no method has this name, or it needs options.
        """
        if isinstance(value, self._base):
            return value
        if isinstance(value, Mapping):
            return self.from_config(value)
        if isinstance(value, type) and issubclass(value, self._base):
            return self._plain(value)
        if isinstance(value, str):
            return self._plain(self._find(value))
        raise TypeError(
            f"`{self._argument}` must be one of {self._module}, or its name "
            f"({', '.join(self)}); found {value!r}."
        )

    def to_config(self, method: Method) -> dict[str, Any]:
        """Return a method as what JSON can hold.

        Args:
            method: one of this registry.

        Raises:
            TypeError: if it is a user's own method, which could not be loaded.
        """
        for name, kind in self.items():
            if type(method) is kind:
                return {self._key: name, **method.get_config()}
        raise TypeError(
            f"the {self._argument} {method!r} cannot be saved; expected one of "
            f"{', '.join(self)}."
        )

    def from_config(self, config: Mapping[str, Any]) -> Method:
        """Make a method from what `to_config` returned.

        Args:
            config: its name, and its options.

        Raises:
            ValueError: if no method has this name.
        """
        options = dict(config)
        return self._find(options.pop(self._key, None)).from_config(options)

    def _find(self, name: object) -> type[Method]:
        known = {_folded(one): one for one in self}
        if _folded(name) not in known:
            close = nearest_name(_folded(name), known)
            meant = f"; did you mean {known[close]!r}?" if close else ""
            raise ValueError(
                f"`{self._argument}`: no method {name!r}{meant} (methods: "
                f"{', '.join(self)})."
            )
        return self[known[_folded(name)]]

    def _plain(self, kind: type[Method]) -> Method:
        """Return a method with its defaults."""
        needed = [
            field.name
            for field in dataclasses.fields(kind)
            if field.default is dataclasses.MISSING
        ]
        if needed:
            options = ", ".join(f"{name}=..." for name in needed)
            raise ValueError(
                f"`{self._argument}` {kind.__name__!r} needs options: "
                f"{self._module}.{kind.__name__}({options})."
            )
        return kind()


def _folded(name: object) -> str:
    return str(name).lower().translate({ord(mark): None for mark in "_- "})
