"""`keras.Model` as a type checker needs it: Keras ships without types.

A class with a base that is unknown has every attribute, for a type checker: it would
take `joint.compil()` for granted. So mypy reads the names of `keras.Model` here, and at
run time `KerasModel` is `keras.Model` itself. Entry points that the joint model narrows
(`fit`, `export`) are open here: Keras's own signatures promise more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras

from coloss.typing import FilePath, Nested, Shape, Store, Tensor

MYPY = False
"""mypy takes it for True (its documentation, "Miscellaneous"); nothing else does."""

if MYPY:

    class KerasModel:
        """What mypy knows of `keras.Model`."""

        name: str
        path: str
        built: bool
        trainable: bool
        stop_training: bool
        run_eagerly: bool
        steps_per_execution: int
        jit_compile: bool | str
        supports_masking: bool
        optimizer: keras.optimizers.Optimizer
        dtype_policy: keras.DTypePolicy
        dtype: str
        compute_dtype: str
        variable_dtype: str
        input_dtype: str
        input_spec: keras.InputSpec
        quantization_mode: str | None
        train_function: Callable[..., Any] | None
        test_function: Callable[..., Any] | None
        predict_function: Callable[..., Nested] | None

        # Private in Keras; `tests/joint/test_keras_internals.py` holds each.
        _tracker: keras.src.utils.tracking.Tracker
        _loss_tracker: keras.metrics.Mean
        _call_has_training_arg: bool

        def __init__(self, *, name: str | None = None, **options: object) -> None: ...

        # --- what it holds -----------------------------------------------------------

        @property
        def layers(self) -> list[keras.layers.Layer]: ...

        @property
        def input(self) -> Nested: ...

        @property
        def output(self) -> Nested: ...

        @property
        def weights(self) -> list[keras.Variable]: ...

        @property
        def trainable_weights(self) -> list[keras.Variable]: ...

        @property
        def non_trainable_weights(self) -> list[keras.Variable]: ...

        @property
        def variables(self) -> list[keras.Variable]: ...

        @property
        def trainable_variables(self) -> list[keras.Variable]: ...

        @property
        def non_trainable_variables(self) -> list[keras.Variable]: ...

        @property
        def metrics(self) -> list[keras.metrics.Metric]: ...

        @property
        def metrics_names(self) -> list[str]: ...

        @property
        def metrics_variables(self) -> list[keras.Variable]: ...

        @property
        def losses(self) -> list[Tensor]: ...

        def get_layer(
            self, name: str | None = None, index: int | None = None
        ) -> keras.layers.Layer: ...

        def get_weights(self) -> list[Tensor]: ...

        def set_weights(self, weights: Sequence[Tensor]) -> None: ...

        def get_state_tree(self, value_format: str = ...) -> dict[str, Nested]: ...

        def set_state_tree(self, state_tree: dict[str, Nested]) -> None: ...

        def count_params(self) -> int: ...

        def add_loss(self, loss: Tensor) -> None: ...

        # --- files -------------------------------------------------------------------

        def save_weights(
            self,
            filepath: FilePath,
            overwrite: bool = True,
            max_shard_size: float | None = None,
        ) -> None: ...

        def load_weights(
            self, filepath: FilePath, skip_mismatch: bool = False, **options: object
        ) -> None: ...

        def to_json(self, **options: object) -> str: ...

        def get_build_config(self) -> dict[str, object] | None: ...

        def build_from_config(self, config: dict[str, object]) -> None: ...

        def save_own_variables(self, store: Store) -> None: ...

        def load_own_variables(self, store: Store) -> None: ...

        def get_config(self) -> dict[str, Any]: ...

        @classmethod
        def from_config(
            cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
        ) -> Self: ...

        def get_compile_config(self) -> dict[str, Any] | None: ...

        def compile_from_config(self, config: dict[str, Any]) -> None: ...

        # --- what the joint model narrows --------------------------------------------

        compile: Callable[..., None]
        call: Callable[..., Nested]
        fit: Callable[..., keras.callbacks.History]
        evaluate: Callable[..., float | list[float] | dict[str, float]]
        predict: Callable[..., dict[str, Nested]]
        train_on_batch: Callable[..., float | list[float] | dict[str, float]]
        test_on_batch: Callable[..., float | list[float] | dict[str, float]]
        predict_on_batch: Callable[..., dict[str, Nested]]
        train_step: Callable[..., Any]
        test_step: Callable[..., Any]
        compute_loss: Callable[..., Tensor]
        compute_metrics: Callable[..., dict[str, Tensor]]
        summary: Callable[..., None]
        save: Callable[..., None]
        export: Callable[..., None]

        # --- what its steps use ------------------------------------------------------

        def build(self, input_shape: Shape | dict[str, Shape]) -> None: ...

        def get_metrics_result(self) -> dict[str, Tensor]: ...

        def reset_metrics(self) -> None: ...

        def make_train_function(self, force: bool = False) -> None: ...

        def make_test_function(self, force: bool = False) -> None: ...

        def make_predict_function(self, force: bool = False) -> None: ...

        def compute_loss_and_updates(
            self,
            trainable_variables: list[Tensor],
            non_trainable_variables: list[Tensor],
            metrics_variables: list[Tensor],
            x: Nested,
            y: Nested,
            sample_weight: Nested,
            training: bool = False,
            optimizer_variables: list[Tensor] | None = None,
        ) -> tuple[Tensor, tuple[Tensor, Nested, list[Tensor], list[Tensor]]]: ...

        def _update_metrics_variables(
            self,
            metrics_variables: list[Tensor],
            unscaled_loss: Tensor,
            x: Nested,
            y: Nested,
            y_pred: Nested,
            sample_weight: Nested,
        ) -> tuple[dict[str, Tensor], list[Tensor]]: ...

        def _compute_loss(
            self,
            x: Nested = None,
            y: Nested = None,
            y_pred: Nested = None,
            sample_weight: Nested = None,
            training: bool = True,
        ) -> Tensor: ...

        def jax_state_sync(self) -> None: ...

        def zero_grad(self) -> None: ...

        def _assert_compile_called(self, method_name: str | None = None) -> None: ...

else:
    KerasModel = keras.Model
