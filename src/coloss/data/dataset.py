"""What `mix` returns. This module and `streamed_batches` import Keras, no others."""

from __future__ import annotations

import keras

from coloss.data.mixture import Mixture
from coloss.data.rows import Structure


class Mixed(keras.utils.PyDataset):
    """Batches of labeled and unlabeled rows; made by `coloss.data.mix`."""

    def __init__(self, core: Mixture, **options: object) -> None:
        """Store what makes the batches."""
        super().__init__(**options)
        self.core, self._epoch, self._begun = core, 0, False

    @property
    def epoch(self) -> int:
        """The epoch, from 0, whose order the batches have.

        Counts itself up in `fit`; set it before to continue an earlier training.
        """
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch, self._begun = epoch, False

    def __len__(self) -> int:
        """Return the batches an epoch."""
        return self.core.steps

    def __getitem__(self, index: int) -> tuple[Structure, ...]:
        """Return a batch: (x, y) or (x, y, sample_weight)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"no batch {index}; an epoch has {len(self)}.")
        return self.core.batch(self._epoch, index % len(self))

    def on_epoch_begin(self) -> None:
        """Go on to the order of the next epoch, after the first one."""
        # Not at the end of an epoch, which Keras also tells before the first.
        self._epoch += self._begun
        self._begun = True
