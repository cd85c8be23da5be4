"""The layers beside the members."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from coloss.joint.balance.plan import PLAIN, Plan
from coloss.joint.balance.state import Balance
from coloss.joint.values.projectors import Projectors
from coloss.joint.values.running_accuracy import RunningAccuracy
from coloss.joint.values.term_schedule import TermSchedule
from coloss.objective import Objective


class AuxiliaryLayers(keras.layers.Layer):
    """The layers beside the members that an objective's transfer terms need.

    Args:
        objective: the joint loss, bound; None: nothing is needed.
        plan: the weighting and the aggregator.
        widths: values of a label, by member that predicts numbers and that a gate
            compares.

    Attributes:
        projectors: trained maps between layers.
        schedule: epochs in which terms count.
        running_accuracy: of the members that gates compare.
        balance: adaptive weights and combined gradients.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        plan: Plan = PLAIN,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        """Create what the objective needs."""
        super().__init__(name="auxiliary")
        self.projectors = Projectors(objective)
        self.schedule = TermSchedule(objective, plan.by_epoch)
        self.running_accuracy = RunningAccuracy(objective, widths)
        self.balance = Balance(plan)
        self.built = True
