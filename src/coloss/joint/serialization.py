"""What a joint model shows of itself, and how it is written and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import keras

from coloss.joint.balance.statistics import Conflict
from coloss.joint.base import JointBase
from coloss.joint.export.export import export
from coloss.joint.saving import config as saving
from coloss.joint.saving.whole_files import (
    save_weights_whole,
    save_whole,
    saving_whole,
)
from coloss.names import unknown
from coloss.typing import FilePath, Store


class SerializationMixin(JointBase):
    """Members by name, summary, export, and what `.keras` files hold."""

    @property
    def members(self) -> Mapping[str, keras.Model]:
        """The networks by name."""
        return MappingProxyType(
            {
                name: saving_whole(getattr(self, f"by_name_{name}"))
                for name in self._member_names
            }
        )

    def __getitem__(self, name: str) -> keras.Model:
        """Return a member: a plain Keras model."""
        if name not in self._member_names:
            raise KeyError(unknown("member", name, self._member_names))
        return saving_whole(getattr(self, f"by_name_{name}"))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the members' names."""
        return iter(self._member_names)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a member of this name."""
        return name in self._member_names

    @property
    def conflicts(self) -> list[Conflict]:
        """Summands whose gradients met in a member so far, the most opposed first.

        Measured in every training step since `compile`, where an aggregator (or a
        weighting that reads gradients) is used; else empty.
        """
        return self.auxiliary.balance.statistics.conflicts()

    def summary(
        self, print_fn: Callable[[str], object] | None = None, **options: object
    ) -> None:
        """Print each member's name, input, output and parameters, then its layers.

        Args:
            print_fn: called with the text; None: `print`.
            **options: passed on to each member's `summary`.
        """
        saving.print_summary(self, print_fn or print, options)

    def save(
        self,
        filepath: FilePath,
        overwrite: bool = True,
        zipped: bool | None = None,
        **options: object,
    ) -> None:
        """Write the joint model to a `.keras` file, as `keras.Model.save` does.

        What is at `filepath` already is replaced once the new file is complete: a full
        disk or a kill leaves the old one. `save` of the members does the same.

        Args:
            filepath: where to.
            overwrite: whether to replace a file without asking.
            zipped: see `keras.Model.save`.
            **options: passed on to `keras.Model.save`.
        """
        save_whole(super().save, filepath, overwrite, zipped, **options)

    def save_weights(
        self,
        filepath: FilePath,
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> None:
        """Write the weights, as `keras.Model.save_weights` does, and whole as `save`.

        Args:
            filepath: where to, ending in `.weights.h5`.
            overwrite: whether to replace a file without asking.
            max_shard_size: see `keras.Model.save_weights`.
        """
        options = {} if max_shard_size is None else {"max_shard_size": max_shard_size}
        save_weights_whole(super().save_weights, filepath, overwrite, **options)

    def export(
        self,
        filepath: FilePath,
        member: str | None = None,
        format: str | None = None,
        *,
        backend: str | None = None,
        verbose: bool = True,
        verify: bool = True,
        **options: object,
    ) -> None:
        """Write one member alone, or the whole joint model, for serving.

        A member's file needs that member's input only; the batch has any size. The
        present backend writes it where it can, else another installed one does, in
        a process of its own; the line that is printed says which. What is at
        `filepath` already is replaced, once the new file is complete.

        Args:
            filepath: where to.
            member: the member to write; None: all of them, called with a dict.
            format: "keras", "onnx", "tf_saved_model", "litert", "openvino" or
                "torch"; None: by the suffix of `filepath` (`.keras`, `.onnx`,
                `.tflite`, `.xml`, `.pt2`; none: "tf_saved_model").
            backend: the backend that must write it; None: any.
            verbose: whether to print who wrote it.
            verify: whether the outputs of an ONNX file are compared with the
                network's on random rows, where onnxruntime is installed.
            **options: passed on to `keras.Model.export`, as `input_signature=`.

        Raises:
            KeyError: if there is no such member.
            ValueError: for a format, backend, name of a file or class that cannot
                be used.
            RuntimeError: if something must be installed first, which it names, or
                the file gives other outputs than the network. Nothing is kept then.
        """
        export(self, filepath, member, format, backend, verbose, verify, options)

    def save_own_variables(self, store: Store) -> None:
        """Save the members' names, and the seeds of their layers."""
        saving.save_own(self, store)

    def load_own_variables(self, store: Store) -> None:
        """Refuse weights of other members, and load the seeds of layers.

        Raises:
            ValueError: if the names in the file are not those of the members.
        """
        saving.load_own(self, store)

    def get_config(self) -> dict[str, Any]:
        """Return the members and how they are fused."""
        return saving.model_config(self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Return the joint model that `get_config` described."""
        return saving.model_from_config(cls, config, custom_objects)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile`, with the coefficients' present values."""
        if self._compiled_settings is None:
            return None
        return saving.compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` described."""
        saving.compile_from_config(self, config)
