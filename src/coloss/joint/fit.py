"""`fit` and its relatives: check array data, spell it out, then let Keras train."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, overload

import keras

from coloss.joint.checks.array_checks import CheckedArrays, check_arrays
from coloss.joint.checks.data_warnings import warn_of_data
from coloss.joint.checks.head_agreement import check_outputs
from coloss.joint.compiled import CompiledSettings
from coloss.joint.epoch_callback import epoch_callbacks
from coloss.joint.epochs import in_blocks
from coloss.joint.epochs.frozen_rows import with_frozen_rows
from coloss.joint.epochs.mixin import EpochsMixin
from coloss.joint.epochs.resumable import in_calling_order, refuse_in_list, resumable
from coloss.joint.explain.blame import terms_not_finite
from coloss.joint.inputs.again import Batch, batches_again
from coloss.joint.inputs.arrays import as_symbols, is_array_data, refuse_bare_array
from coloss.joint.inputs.missing_rows import Complete
from coloss.joint.inputs.sample_batch import show_batch
from coloss.joint.keras_internals import sync_variables, variable_scope
from coloss.joint.optimizers import resolve as optimizers
from coloss.joint.optimizers.learning_rates import (
    check_learning_rates,
    warn_of_learning_rates,
)
from coloss.joint.outputs.frozen import has_said
from coloss.joint.steps.going_on import watchers
from coloss.joint.steps.non_finite import NonFiniteGuard, with_guard
from coloss.joint.supervision.class_weights import (
    NONE_WEIGHED,
    ClassWeight,
    resolve_class_weights,
)
from coloss.objective import DataWarning, ObjectiveWarning
from coloss.typing import ByMember, Callbacks, Nested

Scores = float | list[float] | dict[str, float]
"""The loss and the metrics: by name with `return_dict=True`, else in order."""


class FitMixin(EpochsMixin):
    """Keras's entry points with every refusal before the first step."""

    _seen_shapes: tuple[str, Any] = ("", None)
    _traced_for = Complete()
    """Of the arrays that the train step is traced for."""

    _outputs_checked_for: CompiledSettings | None = None
    """The compiled settings for which the members' outputs were looked at."""

    _class_weights = _traced_weights = NONE_WEIGHED
    """Of the present `fit`, and of the train step as it is traced."""

    _complete = Complete()
    """What train steps may rely on: within `fit`, of its arrays; else nothing."""

    def fit(
        self,
        x: object = None,
        y: ByMember = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool = True,
        class_weight: ClassWeight = None,
        sample_weight: ByMember = None,
        cache: bool = True,
        **options: object,
    ) -> keras.callbacks.History:
        """Train the members together; arguments as in `keras.Model.fit`.

        Args:
            x: arrays by member (rows of NaN are missing), or a `tf.data.Dataset`,
                `PyDataset`, torch `DataLoader` or generator of such dicts.
            y: labels: one array for all members, or by member; -1 (integers) or
                rows of NaN are unlabeled.
            batch_size: rows a step.
            epochs: passes over the data.
            verbose: as in Keras.
            callbacks: as in Keras.
            validation_split: last share of the rows, kept for validation.
            validation_data: (x, y) or (x, y, sample_weight), or a dataset.
            shuffle: as in Keras.
            class_weight: `{class: weight}` for all members but regressions, or such
                dicts by member; for arrays, datasets and loaders alike.
            sample_weight: one array for all members, or by member: one number a row,
                or for each step or pixel; weighs the supervised losses, not what
                members teach each other.
            cache: whether frozen members may be run once for all rows of arrays,
                instead of at every step.
            **options: the other arguments of `keras.Model.fit`.

        Raises:
            ValueError: if arrays do not fit the members; before any training.
            NonFiniteLossError: when the loss stops being finite. The weights are
                those of the last good step.
        """
        self._assert_compile_called("fit")
        self._check_trainable()
        check_learning_rates(self.optimizer)
        notes = warn_of_learning_rates(self.optimizer)
        # A data set may know that members have no missing row.
        complete: Complete = getattr(x, "complete", Complete())
        refuse_bare_array(x, self.assembly.keys)
        if is_array_data(x):
            arrays = self.check_arrays(x, y, sample_weight)
            x, y, sample_weight = arrays.x, arrays.y, arrays.sample_weight
            complete = arrays.complete
            notes += self._notes(arrays)
        self._check_validation(validation_split, validation_data)
        show_batch(callbacks, x, y, sample_weight)
        if isinstance(validation_data, tuple) and is_array_data(validation_data[0]):
            where = "validation data: "
            x_after, y_after, weight_after, *_ = (*validation_data, None, None)
            arrays = self.check_arrays(x_after, y_after, weight_after, where=where)
            validation_data = (arrays.x, arrays.y, arrays.sample_weight)
            notes += self._notes(arrays, where)
        for note in notes:
            warnings.warn(note, DataWarning, stacklevel=2)
        self._build_optimizer()
        again = partial(
            batches_again, x, y, sample_weight, batch_size, validation_split
        )
        arguments = {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": self._with_own(callbacks, again),
            "validation_split": validation_split,
            "validation_data": validation_data,
            "shuffle": shuffle,
            "sample_weight": sample_weight,
            **options,
        }
        with (
            self.expecting(complete, class_weight),
            in_blocks(self, with_frozen_rows(self, arguments, cache)) as chosen,
            resumable(self, arguments, chosen, class_weight) as ready,
        ):
            return super().fit(**ready)

    @overload
    def evaluate(
        self,
        x: object = ...,
        y: ByMember = ...,
        batch_size: int | None = ...,
        verbose: int | str = ...,
        sample_weight: ByMember = ...,
        *,
        return_dict: Literal[True],
        **options: object,
    ) -> dict[str, float]: ...

    @overload
    def evaluate(
        self,
        x: object = ...,
        y: ByMember = ...,
        batch_size: int | None = ...,
        verbose: int | str = ...,
        sample_weight: ByMember = ...,
        return_dict: bool = ...,
        **options: object,
    ) -> Scores: ...

    def evaluate(
        self,
        x: object = None,
        y: ByMember = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: ByMember = None,
        return_dict: bool = False,
        **options: object,
    ) -> Scores:
        """Return the loss and every metric; arguments as in `keras.Model.evaluate`."""
        self._assert_compile_called("evaluate")
        refuse_bare_array(x, self.assembly.keys)
        if is_array_data(x) and not has_said(x):  # Else `fit` checked them.
            arrays = self.check_arrays(x, y, sample_weight)
            x, y, sample_weight = arrays.x, arrays.y, arrays.sample_weight
        try:
            return super().evaluate(
                x=x,
                y=y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                return_dict=return_dict,
                **with_guard(options),
            )
        except BaseException:
            sync_variables(self)  # Keras does so only where all went well.
            raise

    def train_on_batch(
        self,
        x: Mapping[str, object],
        y: ByMember = None,
        sample_weight: ByMember = None,
        class_weight: ClassWeight = None,
        return_dict: bool = False,
    ) -> Scores:
        """Take one step on one batch, as in Keras.

        Raises:
            ValueError: if the arrays do not fit the members.
        """
        self._assert_compile_called("train_on_batch")
        self._check_trainable()
        arrays = self.check_arrays(x, y, sample_weight)
        self._build_optimizer()
        both = self._traced_for.both(arrays.complete)
        with self.expecting(both, class_weight):
            return super().train_on_batch(
                arrays.x,
                arrays.y,
                sample_weight=arrays.sample_weight,
                return_dict=return_dict,
            )

    def test_on_batch(
        self,
        x: Mapping[str, object],
        y: ByMember = None,
        sample_weight: ByMember = None,
        return_dict: bool = False,
    ) -> Scores:
        """Evaluate one batch, as in Keras."""
        self._assert_compile_called("test_on_batch")
        arrays = self.check_arrays(x, y, sample_weight)
        return super().test_on_batch(
            arrays.x,
            arrays.y,
            sample_weight=arrays.sample_weight,
            return_dict=return_dict,
        )

    def check_arrays(
        self,
        x: Mapping[str, object],
        y: ByMember = None,
        sample_weight: ByMember = None,
        where: str = "",
    ) -> CheckedArrays:
        """Return arrays as train steps take them, or say what is wrong with them.

        Args:
            x: inputs by member: arrays, frames, lists of rows.
            y: labels: one array for all members, or by member.
            sample_weight: one array for all members, or by member.
            where: prefix of messages, such as "validation data: ".

        Raises:
            TypeError: if `x` is no dict by member.
            ValueError: naming the member, what was found, and what was expected.
        """
        settings, members = self.compiled_settings, dict(self.members)
        arrays = check_arrays(
            members,
            settings.losses,
            settings.needed,
            self._symbolic_outputs,
            x,
            y,
            sample_weight,
            where,
            self.assembly,
        )
        # Once for a `compile`: a few rows show what a head is.
        if self._outputs_checked_for is not settings:
            for note in check_outputs(members, settings.losses, arrays.by_member):
                warnings.warn(note, ObjectiveWarning, stacklevel=3)
            self._outputs_checked_for = settings
        return arrays

    def data_warnings(
        self, x: Mapping[str, object], y: ByMember = None, where: str = ""
    ) -> list[str]:
        """Return what would train without a word and teach nothing.

        Labels that are all unlabeled or of one class, inputs that are missing on
        every row, learning rates out of all proportion. `fit` warns of the same.

        Args:
            x: inputs by member: arrays, frames, lists of rows.
            y: labels: one array for all members, or by member.
            where: prefix of the sentences on the data.

        Raises:
            ValueError: if arrays do not fit the members.
        """
        notes = self._notes(self.check_arrays(x, y, where=where), where)
        return [*notes, *warn_of_learning_rates(self.optimizer)]

    def _notes(self, arrays: CheckedArrays, where: str = "") -> list[str]:
        settings, read = self.compiled_settings, arrays.by_member
        return warn_of_data(settings.losses, settings.needed, read, arrays.y, where)

    @contextlib.contextmanager
    def expecting(
        self, complete: Complete, class_weight: ClassWeight = None
    ) -> Iterator[None]:
        """Let train steps rely on what is complete, until the block ends.

        They weigh classes as well. The step is traced again if either was another
        before.
        """
        losses = self.compiled_settings.losses
        weights = resolve_class_weights(class_weight, self._member_names, losses)
        if (complete, weights) != (self._traced_for, self._traced_weights):
            self._traced_for, self.train_function = complete, None
            self._traced_weights = weights
        before, self._complete = self._complete, complete
        self._class_weights = weights
        try:
            yield
        finally:
            self._complete, self._class_weights = before, NONE_WEIGHED

    def _known_complete(self, training: bool | None) -> Complete:
        """Return what need not be looked at in this step."""
        inside = training and self._step_context.is_open
        return self._complete if inside else Complete()

    def _symbolic_outputs(self, x: Mapping[str, Nested]) -> Mapping[str, Nested]:
        """Return the members' outputs as shapes; builds members that are not built."""
        symbols = as_symbols(self.members, x)
        key = str([(leaf.shape, leaf.dtype) for leaf in keras.tree.flatten(symbols)])
        # A symbolic pass takes as long as many steps; shapes seldom change.
        if self._seen_shapes[0] != key:
            self._seen_shapes = (key, self(symbols))
        return self._seen_shapes[1]

    def _check_validation(self, split: float, data: object) -> None:
        """Refuse to train without the validation rows that a weighting reads."""
        plan = self._auxiliary.balance.plan
        if plan.validates and not split and data is None:
            raise ValueError(
                f"{type(plan.weighting).__name__} weighs networks by their validation "
                "losses: give `validation_data` or `validation_split`."
            )

    def _with_own(
        self, callbacks: Callbacks, again: Callable[[], Iterator[Batch]]
    ) -> Callbacks:
        def blame(variable: keras.Variable) -> list[str]:
            return terms_not_finite(self, variable, again())

        own = [*epoch_callbacks(), *watchers(), NonFiniteGuard(blame)]
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            given = [] if callbacks is None else keras.tree.flatten(callbacks)
            for callback in given:
                self._tell_direction(callback)
            # First, so that what they log reaches History and the progress bar.
            return in_calling_order([*own, *given])
        refuse_in_list(callbacks)
        for callback in own:
            callbacks.append(callback)
        return callbacks

    def _tell_direction(self, callback: keras.callbacks.Callback) -> None:
        """Say what is better to a callback that monitors one of our entries.

        Keras looks this up among the metrics it was given itself.
        """
        if getattr(callback, "mode", None) == "auto":
            monitored = str(getattr(callback, "monitor", "")).removeprefix("val_")
            callback.mode = self.compiled_settings.direction(monitored) or "auto"

    def _build_optimizer(self) -> None:
        """Make its variables, if all that it trains is there.

        TensorFlow traces a step that makes variables twice, and clones nothing in it.
        """
        layers = self._auxiliary
        parts = (*self.members.values(), layers.projectors, layers.balance)
        optimizer = self.optimizer
        if optimizer is None or optimizer.built or not all(p.built for p in parts):
            return
        with variable_scope(self):
            optimizer.build(self.trainable_variables)

    def _check_trainable(self) -> None:
        optimizers.check_trainable(
            self.optimizer, self.trainable_variables, dict(self.members)
        )
