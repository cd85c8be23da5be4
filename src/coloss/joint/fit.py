"""`fit` and its relatives: check array data, spell it out, then let Keras train."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal, overload

import keras

from coloss.distributed import agree, naming_lost, process_count, together
from coloss.joint.checked_data import CheckedDataMixin
from coloss.joint.checks.devices import check_batches, check_placed, check_ranks
from coloss.joint.epoch_callback import epoch_callbacks
from coloss.joint.epochs import in_blocks
from coloss.joint.epochs.array_fit import check_fit_batches
from coloss.joint.epochs.frozen_rows import with_frozen_rows
from coloss.joint.epochs.mixin import EpochsMixin
from coloss.joint.epochs.order import count_rows
from coloss.joint.epochs.resumable import in_calling_order, refuse_in_list, resumable
from coloss.joint.explain.blame import terms_not_finite
from coloss.joint.inputs.again import Batch, batches_again
from coloss.joint.inputs.arrays import is_array_data, refuse_bare_array
from coloss.joint.inputs.missing_rows import Complete
from coloss.joint.inputs.sample_batch import show_batch
from coloss.joint.keras_internals import DEFAULT_BATCH, sync_variables, variable_scope
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
from coloss.objective import DataWarning
from coloss.typing import ByMember, Callbacks

Scores = float | list[float] | dict[str, float]
"""The loss and the metrics: by name with `return_dict=True`, else in order."""


class FitMixin(EpochsMixin, CheckedDataMixin):
    """Keras's entry points with every refusal before the first step."""

    _traced_for = Complete()
    """Of the arrays that the train step is traced for."""

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
            ValueError: if arrays do not fit the members, or batches the devices of a
                `keras.distribution`; before any training.
            NonFiniteLossError: when the loss stops being finite. The weights are
                those of the last good step.
        """
        with together():
            self._assert_compile_called("fit")
            check_ranks(keras.backend.backend())
            self._check_trainable()
            check_placed(self.members)
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
        check_fit_batches(arguments)
        with (
            self.expecting(complete, class_weight),
            in_blocks(self, with_frozen_rows(self, arguments, cache)) as chosen,
            resumable(self, arguments, chosen, class_weight) as ready,
            naming_lost("fit"),
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
        rows = 0
        with together():
            if is_array_data(x) and not has_said(x):  # Else `fit` checked them.
                arrays = self.check_arrays(x, y, sample_weight)
                x, y, sample_weight = arrays.x, arrays.y, arrays.sample_weight
                rows = count_rows(x)
        size = batch_size or DEFAULT_BATCH
        agree({"number of rows": rows, "`batch_size`": size})
        check_batches(rows, size if rows else None)
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
        check_batches(count_rows(arrays.x), None)
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
        check_batches(count_rows(arrays.x), None)
        return super().test_on_batch(
            arrays.x,
            arrays.y,
            sample_weight=arrays.sample_weight,
            return_dict=return_dict,
        )

    @contextlib.contextmanager
    def expecting(
        self, complete: Complete, class_weight: ClassWeight = None
    ) -> Iterator[None]:
        """Let train steps rely on what is complete, until the block ends.

        They weigh classes as well. The step is traced again if either was another
        before.
        """
        if process_count() > 1:
            complete = Complete()  # All processes trace the same step.
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
