"""Trained maps between layers of different widths, on the learner's side."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from coloss.typing import Shape, Tensor

NONE, LEARNER, BOTH, MEAN_VARIANCE = "none", "learner", "both", "mean_variance"
EMBEDDING = 128
FIRST_VARIANCE = 5.0


@keras.saving.register_keras_serializable(package="coloss")
class Projector(keras.layers.Layer):
    """What stands between a learner's and a source's layer while training.

    Linear on the last axis, so that a sequence or a map is projected position by
    position (a 1x1 convolution). It is no part of either network.

    Args:
        kind: "learner" (FitNets: the learner to the source's width, where they
            differ), "both" (CRD: both to one embedding), or "mean_variance"
            (VID: the learner to the source's width, and a variance a channel).
        dimension: width of the embedding for "both"; None: no maps, for layers of
            one width.

    Raises:
        ValueError: if `kind` is none of these; in `build`, for layers of different
            widths without maps.

    Reference:
        Romero et al. 2015, arXiv:1412.6550; Tian et al. 2020, arXiv:1910.10699;
        Ahn et al. 2019, arXiv:1904.05835.
    """

    def __init__(
        self, kind: str, dimension: int | None = EMBEDDING, **kwargs: object
    ) -> None:
        """Store the kind; the widths come with `build`."""
        super().__init__(**kwargs)
        if kind not in (LEARNER, BOTH, MEAN_VARIANCE):
            raise ValueError(f"`kind` must be learner, both or mean_variance; {kind!r}")
        self.kind = kind
        self.dimension = None if dimension is None else int(dimension)

    def build(self, learner_shape: Shape, source_shape: Shape) -> None:
        """Create the maps for two shapes (batch, ..., channels)."""
        self._shapes = (tuple(learner_shape), tuple(source_shape))
        learner, source = learner_shape[-1], source_shape[-1]
        self._learner = self._source = self._raw_variance = None
        width = self.dimension
        if self.kind == BOTH and width is None:
            if learner != source:
                raise ValueError(
                    f"dimension=None needs layers of one width; learner has {learner}, "
                    f"source has {source}. Give `dimension=` a number: both are mapped "
                    "to that width."
                )
        elif self.kind == BOTH and width is not None:
            self._learner = self._matrix(learner, width, "learner")
            self._source = self._matrix(source, width, "source")
        elif self.kind == MEAN_VARIANCE or learner != source:
            self._learner = self._matrix(learner, source, "learner")
        if self.kind == MEAN_VARIANCE:
            raw = math.log(math.expm1(FIRST_VARIANCE))
            self._raw_variance = self.add_weight(
                shape=(source,),
                initializer=keras.initializers.Constant(raw),
                dtype="float32",
                name="raw_variance",
            )

    def _matrix(
        self, width: int | None, target: int | None, name: str
    ) -> keras.Variable:
        return self.add_weight(
            shape=(width, target),
            initializer="glorot_uniform",
            dtype="float32",
            name=name,
        )

    def call(self, learner: Tensor, source: Tensor) -> tuple[Tensor, ...]:
        """Return the arguments of the transfer term, in its order.

        Args:
            learner: (batch, ..., channels).
            source: (batch, ..., channels).
        """
        learner, source = ops.cast(learner, "float32"), ops.cast(source, "float32")
        if self._learner is not None:
            learner = ops.matmul(learner, self._learner)
        if self._source is not None:
            source = ops.matmul(source, self._source)
        if self._raw_variance is not None:
            return learner, source, ops.convert_to_tensor(self._raw_variance)
        return learner, source

    def get_build_config(self) -> dict[str, Any]:
        """Return the two shapes."""
        learner, source = self._shapes
        return {"learner_shape": learner, "source_shape": source}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with the two shapes."""
        self.build(config["learner_shape"], config["source_shape"])

    def get_config(self) -> dict[str, Any]:
        """Return the kind and the dimension."""
        own = {"kind": self.kind, "dimension": self.dimension}
        return {**super().get_config(), **own}
