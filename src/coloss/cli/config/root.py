"""The whole file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from coloss.cli.config.base import Part
from coloss.cli.config.coefficients import Coefficient
from coloss.cli.config.data import Data
from coloss.cli.config.members import Member
from coloss.cli.config.training import ObjectiveTable, Output, StudyTable, Training


class Config(Part):
    """Data, networks, objective and training of one run, or of a study."""

    data: Data
    members: Annotated[dict[str, Member], Field(min_length=1)]
    objective: ObjectiveTable = ObjectiveTable()
    coefficients: dict[str, Coefficient] = Field(default_factory=dict)
    training: Training = Training()
    study: StudyTable | None = None
    output: Output = Output()

    @property
    def main(self) -> str:
        """The network that is to gain."""
        return self.objective.main or next(iter(self.networks or self.members))

    @property
    def sources(self) -> dict[str, Member]:
        """The members with data of their own: the others read theirs."""
        return {n: one for n, one in self.members.items() if one.inputs is None}

    @property
    def networks(self) -> dict[str, Member]:
        """The members that are networks, and no recorded predictions."""
        return {n: one for n, one in self.members.items() if one.outputs is None}

    @property
    def recorded(self) -> dict[str, str]:
        """What is recorded (probabilities, logits or values), by member."""
        usual = "probabilities" if self.is_classification else "values"
        return {
            name: member.kind or usual
            for name, member in self.members.items()
            if member.outputs is not None
        }

    @property
    def objective_text(self) -> str:
        """The joint loss."""
        return self.objective.text or " + ".join(self.networks or self.members)

    @property
    def is_classification(self) -> bool:
        """Whether labels are classes."""
        return self.data.task == "classification"

    @property
    def monitor(self) -> str:
        """The entry of the history that says which epoch is best."""
        if self.training.monitor:
            return self.training.monitor
        entry = "accuracy" if self.is_classification else "loss"
        return f"val_{self.main}_{entry}"
