"""`predict`, of all members or of those whose inputs are given."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from coloss.joint.alone import alone
from coloss.joint.checks.devices import check_batches, shards
from coloss.joint.epochs.many_steps import steps_in_a_call
from coloss.joint.epochs.order import count_rows
from coloss.joint.epochs.turns import BlocksBase
from coloss.joint.inputs.arrays import as_inputs, is_array_data, refuse_bare_array
from coloss.joint.inputs.input_checks import check_inputs
from coloss.joint.keras_internals import DEFAULT_BATCH, sync_variables
from coloss.typing import Nested, Tensor


class PredictMixin(BlocksBase):
    """Keras's `predict`, by member."""

    _takes_some = False
    """Whether `call` may be given the inputs of some members only."""

    def predict(self, x: object, *args: object, **options: object) -> dict[str, Tensor]:
        """Return outputs by member; rows whose input is missing are NaN.

        Of several processes, each gets those of the rows that it gives.

        Args:
            x: inputs by member, or a dataset of such dicts. With those of some
                members only, these alone are run; `fused` then is the mean over them
                and, where `fuse` is a function of all outputs, left out.
            *args: as in `keras.Model.predict`.
            **options: as in `keras.Model.predict`.

        Raises:
            TypeError: if `x` is no dict by member.
            ValueError: if arrays do not fit the members.
        """
        with alone(self), self._some_members(), self._one_batch_a_call():
            return self._predicted(self._inputs_of_some(x), args, options)

    def _predicted(
        self, x: object, args: Sequence[Any], options: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """Return outputs by member; devices share any number of rows of arrays."""
        rows, parts = (count_rows(x) if is_array_data(x) else 0), shards()
        if rows and parts > 1:
            size = args[0] if args else options.get("batch_size")
            check_batches(0, size or DEFAULT_BATCH)
            x = _with_copies_of_last(x, -rows % parts)
        try:
            found: dict[str, Tensor] = super().predict(x, *args, **options)
        except BaseException:
            sync_variables(self)  # Keras does so only where all went well.
            raise
        if not rows % parts:
            return found
        return keras.tree.map_structure(lambda values: values[:rows], found)

    def predict_on_batch(self, x: object) -> dict[str, Tensor]:
        """Return outputs by member for one batch; as `predict`."""
        x = self._inputs_of_some(x)
        with alone(self), self._some_members():
            return super().predict_on_batch(x)

    def _inputs_of_some(self, x: object) -> object:
        """Return the inputs of one member or more as arrays; a dataset as it is."""
        assembly = self.assembly
        refuse_bare_array(x, assembly.keys)
        if not is_array_data(x):
            return x
        assembly.check_keys(x, complete=not x)
        members = self._readable(x)
        if not members:
            raise ValueError(
                f"`x` has {', '.join(x)}, and every member reads more than that."
            )
        x = as_inputs(assembly.own(members), x)
        check_inputs(members, x, assembly, complete=False)
        return x

    def _readable(
        self, keys: Collection[str], others: Collection[str] = ()
    ) -> dict[str, keras.Model]:
        """Return the members for which there is enough in these entries of `x`.

        Args:
            keys: of `x`.
            others: members that need none.
        """
        members = self.members
        found = {*self.assembly.readable(members, keys), *others}
        return {name: one for name, one in members.items() if name in found}

    @contextlib.contextmanager
    def _one_batch_a_call(self) -> Iterator[None]:
        """Let `predict` within a `fit` not read the number of steps of that `fit`.

        Keras traces `predict` for a number of batches, and then keeps to it.
        """
        inside = self.takes_blocks
        with steps_in_a_call(self, 1) if inside else contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def _some_members(self) -> Iterator[None]:
        """Let `call` do without the inputs of some members, until the block ends."""
        self._takes_some = True
        try:
            yield
        finally:
            self._takes_some = False
            # Keras takes a model for built once it was called.
            self.built = all(member.built for member in self.members.values())


def _with_copies_of_last(x: Nested, count: int) -> Nested:
    """Return arrays (rows, ...) with so many more rows, so that devices share them."""

    def longer(array: Tensor) -> Tensor:
        array = np.asarray(array)
        return np.concatenate([array, np.repeat(array[-1:], count, axis=0)])

    return keras.tree.map_structure(longer, x) if count else x
