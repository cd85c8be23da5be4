"""`JointModel`: several networks, one objective, one `fit`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras

from coloss.aggregation.base import Aggregator
from coloss.joint.auxiliary import AuxiliaryLayers
from coloss.joint.balance.checks import check_balance
from coloss.joint.balance.plan import Request, Weighable, make_plan
from coloss.joint.compiled import CompiledSettings, resolve_compiled
from coloss.joint.compute_loss import ComputeLossMixin
from coloss.joint.epochs import check_steps
from coloss.joint.explain.on_batch import explain_form, explain_model, report_ascent
from coloss.joint.fit import FitMixin
from coloss.joint.inputs.arrays import check_by_key
from coloss.joint.inputs.assembly import Assembly
from coloss.joint.inputs.missing_rows import Complete
from coloss.joint.inputs.several import Inputs
from coloss.joint.keras_internals import sync_variables
from coloss.joint.members import FUSED, check_members
from coloss.joint.optimizers import resolve as optimizers
from coloss.joint.optimizers.resolve import ANY, OptimizerSpec
from coloss.joint.outputs.forward import Forward, run_members
from coloss.joint.outputs.frozen import split_said
from coloss.joint.outputs.fusion import Fuse, check_fuse, fused
from coloss.joint.outputs.logits import with_readings
from coloss.joint.predict import PredictMixin
from coloss.joint.saving.config import shape_of
from coloss.joint.serialization import SerializationMixin
from coloss.joint.step_context import StepContext
from coloss.joint.steps import Steps
from coloss.joint.supervision.labels import route
from coloss.joint.supervision.member_loss import LossSpec
from coloss.joint.supervision.metrics import MetricSpec
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import (
    ByName,
    Coefficient,
    Coefficients,
    starting_values,
)
from coloss.joint.values.transfer_terms import TransferTerms
from coloss.objective import Expression, Objective
from coloss.objective.explanation import Explanation
from coloss.typing import ByMember, Nested, Tensor
from coloss.weighting.base import Weighting


@keras.saving.register_keras_serializable(package="coloss")
class JointModel(Steps, FitMixin, PredictMixin, ComputeLossMixin, SerializationMixin):
    """Several networks trained together, so that one learns from the others.

    Args:
        members: any `keras.Model` by name. Members may share layers, be nested,
            subclassed, unbuilt or frozen.
        fuse: None, `"mean"` (mean of the members' probabilities, over those
            present), or a function of the dict of outputs that returns one tensor;
            adds the prediction `fused`, with metrics of its own.
        name: the joint model's name.
        inputs: by member, the entries of `x` that it reads (`coloss.Inputs`), where
            they are others than the one of its own name.

    Raises:
        TypeError: if a member is no `keras.Model`.
        ValueError: for a name that no objective can say, or inputs that do not fit.

    Examples:
        >>> import keras, coloss
        >>> def network(width):
        ...     return keras.Sequential(
        ...         [keras.Input((width,)), keras.layers.Dense(3, "softmax")]
        ...     )
        >>> joint = coloss.JointModel({"main": network(4), "helper": network(2)})
        >>> joint.compile(
        ...     "adam",
        ...     loss="sparse_categorical_crossentropy",
        ...     objective="main + helper + distill(helper >> main)",
        ... )
        >>> joint["main"].count_params()
        15
    """

    def __init__(
        self,
        members: Mapping[str, keras.Model],
        fuse: Fuse | None = None,
        name: str | None = None,
        inputs: Mapping[str, Inputs] | None = None,
        **kwargs: object,
    ) -> None:
        """Take the members in; each is stored under its name."""
        super().__init__(name=name, **kwargs)
        self.fuse = check_fuse(fuse)
        checked = check_members(members, fuse is not None)
        self._member_names = tuple(checked)
        self.assembly = Assembly(checked, inputs)
        self._input_dropout = self.assembly.dropout
        for key, member in checked.items():
            # Weight files go by attributes, in alphabetical order, public ones first.
            # These stand before `layers`, which goes by position: members of one
            # shape in another order would be loaded swapped, without an error.
            setattr(self, f"by_name_{key}", member)
        self._coefficients = Coefficients()
        self._auxiliary = AuxiliaryLayers()
        self._compiled_settings: CompiledSettings | None = None
        self._arguments: Mapping[str, object] = MappingProxyType({})
        self._step_context = StepContext()
        self.moving_coefficients: set[str] = set()
        self.built = all(member.built for member in checked.values())

    @property
    def weights(self) -> list[keras.Variable]:
        """The members' variables and the projectors; no coefficients, no counts."""
        # TensorFlow's and torch's trainers train what is in here.
        beside = [*self._coefficients.non_trainable_variables]
        beside += self._auxiliary.non_trainable_variables
        own = {id(variable) for variable in beside}
        return [weight for weight in super().weights if id(weight) not in own]

    @property
    def objective(self) -> Objective:
        """The joint loss, bound to members and coefficients."""
        return self.compiled_settings.objective

    @property
    def coefficients(self) -> ByName:
        """The coefficients' variables by name; `.assign(...)` takes effect at once."""
        return self.coefficient_layer.by_name

    @property
    def auxiliary(self) -> AuxiliaryLayers:
        """The layers beside the members, with their present values."""
        _ = self.coefficient_layer
        return self._auxiliary

    @property
    def coefficient_layer(self) -> Coefficients:
        """The layer that holds the coefficients, with their present values."""
        sync_variables(self)
        return self._coefficients

    def compile(
        self,
        optimizer: OptimizerSpec = "adam",
        loss: LossSpec = None,
        objective: str | Expression | Objective | None = None,
        coefficients: Mapping[str, Coefficient] | None = None,
        metrics: MetricSpec = None,
        weighted_metrics: MetricSpec = None,
        on_ascent: str = "warn",
        on_nonfinite: str = "raise",
        weighting: Weighting | str | None = None,
        aggregator: Aggregator | str | None = None,
        aggregation_level: str | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Set what is minimized, and how.

        Args:
            optimizer: one for all members, or a dict by member in which `"*"`
                stands for the others.
            loss: one for all members, or a dict by member: strings,
                `keras.losses.Loss` instances or functions of (y_true, y_pred).
            objective: the joint loss as text, built with operators, or an
                `Objective`; None: the sum of the members' losses.
            coefficients: number, schedule (a callable of the epoch) or
                `coloss.Trainable` for each name in the objective that is no member.
            metrics: a list for all members that have a loss, or a dict by member; as in
                Keras, and "r2" and "rmse" of numbers.
            weighted_metrics: the same, with sample weights.
            on_ascent: what happens when the objective trains a member to fail or
                is unbounded: "warn" (`ObjectiveWarning`), "raise", or "allow".
            on_nonfinite: after a step that is not finite, which never changes anything:
                "raise", "skip" it, or "restore" the state before its epoch.
            weighting: weights of the summands that adapt: one of `coloss.weighting`,
                or its short name ("dwa").
            aggregator: how the summands' gradients are combined in each member: one
                of `coloss.aggregation`, or its name ("upgrad").
            aggregation_level: where these gradients are measured: "parameter",
                "output" (cheaper: at what terms read of a member), "coefficient"
                (for sums of losses); None: the aggregator's own choice.
            steps_per_execution: "auto": on JAX, `fit` on arrays takes its steps in
                blocks of up to half a second, each one program; on TensorFlow 16 in a
                call where steps are light; elsewhere 1. A number: as in Keras.
            run_eagerly: as in Keras.
            jit_compile: as in Keras.
            auto_scale_loss: as in Keras.

        Raises:
            ObjectiveError: if the objective names what does not exist.
            ValueError: for any other argument that cannot be used.
        """
        blocks = check_steps(steps_per_execution)
        members = dict(self.members)
        given = dict(coefficients or {})
        settings = resolve_compiled(
            members, self.fuse, loss, objective, given, metrics, weighted_metrics
        )
        resolved = optimizers.resolve(
            optimizer,
            members,
            reached=settings.objective.learners,
            extra=self._beside_members,
        )
        settings.step_report.act(on_nonfinite)
        found = explain_form(settings, members, starting_values(given))
        settings.ascended = report_ascent(found, settings.objective, on_ascent)
        plan = check_balance(
            make_plan(
                Request(weighting, aggregator, aggregation_level),
                Weighable(
                    settings.objective, settings.summands, settings.losses, given
                ),
                members,
            ),
            (settings.objective, members, given),
            resolved,
            auto_scale_loss and self.dtype_policy.name == "mixed_float16",
        )
        # Nothing has changed so far: what is refused leaves the model as it was.
        self._coefficients.reset(given)
        self._set_auxiliary(AuxiliaryLayers(settings.objective, plan, settings.widths))
        self._compiled_settings, self._seen_shapes = settings, ("", None)
        self._traced_for = Complete()
        self.moving_coefficients.clear()
        self.takes_blocks, self.told_reasons = blocks, frozenset()
        super().compile(
            optimizer=resolved,
            run_eagerly=run_eagerly,
            steps_per_execution=1 if blocks else int(steps_per_execution),
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        if all(member.built for member in members.values()):
            self._auxiliary.balance.create(members)
        for name, member in members.items():
            settings.build_metrics(name, shape_of(member, "output_shape"))
        # No plain dict: Keras would take the user's metric instances as the model's.
        arguments = {
            "optimizer": resolved,
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "on_ascent": on_ascent,
            "on_nonfinite": on_nonfinite,
            "aggregation_level": aggregation_level,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        self._arguments = MappingProxyType(arguments)
        self._optimizer_config = optimizers.config_of(resolved)

    def _beside_members(self) -> dict[str, list[keras.Variable]]:
        """Return trained variables outside the members, by the group that moves them.

        Those of no member, trained coefficients and weights, have one of their own.
        """
        found = self._auxiliary.projectors.by_learner()
        free = [
            *self._coefficients.trainable_variables,
            *self._auxiliary.balance.trainable_variables,
        ]
        return {**found, ANY: free} if free else found

    def _set_auxiliary(self, auxiliary: AuxiliaryLayers) -> None:
        tracker, locked = self._tracker, self._tracker.locked
        tracker.unlock()
        tracker.untrack(self._auxiliary)
        self._auxiliary = auxiliary
        if locked:
            tracker.lock()

    @property
    def compiled_settings(self) -> CompiledSettings:
        """What `compile` was told, resolved against the members.

        Raises:
            ValueError: before `compile`.
        """
        if self._compiled_settings is None:
            raise ValueError("Call `compile(...)` first.")
        return self._compiled_settings

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss, each summand, each member's loss and metrics."""
        found = super().metrics
        if self._compiled_settings is None:
            return found
        return [*found[:1], *self._compiled_settings.trackers, *found[1:]]

    def call(
        self, inputs: Mapping[str, Nested], training: bool | None = None
    ) -> dict[str, Tensor]:
        """Run every member once.

        Args:
            inputs: by key, (batch, ...) or nested; rows of NaN are missing.
            training: as in Keras.

        Returns:
            Outputs by member, and `fused` where there is one. Rows whose input is
            missing are NaN.
        """
        inputs, said = split_said(inputs)
        check_by_key(inputs, self.assembly, complete=not (self._takes_some or said))
        members = self._readable(inputs, said)
        whole = set(members) == set(self._member_names)
        settings, keys = self._compiled_settings, self._known_complete(training).inputs
        tapped = {} if settings is None else settings.tapped
        asked = {name: one for name, one in members.items() if name not in said}
        own = self.assembly.by_member(asked, inputs, training, keys)
        complete = self.assembly.complete(keys)
        forward = run_members(members, own, training, tapped, complete, said)
        self._step_context.put(forward)
        if whole:
            self._create_auxiliary(forward)
        outputs = forward.outputs_or_nan()
        if self.fuse is not None and (whole or self.fuse == "mean"):
            known = {} if settings is None else settings.losses
            losses = with_readings(members, outputs, known)
            outputs[FUSED] = fused(self.fuse, forward.outputs, forward.present, losses)
        if settings is not None:
            for name, output in outputs.items():
                settings.build_metrics(name, tuple(output.shape))
        return outputs

    def _create_auxiliary(self, forward: Forward) -> None:
        if not self._auxiliary.balance.built:
            self._auxiliary.balance.create(self.members)
        if not self._auxiliary.projectors.built:
            batch = self.batch_of(forward, None)
            TransferTerms(batch, self._auxiliary).make_projectors()

    def batch_of(
        self,
        forward: Forward,
        y: ByMember,
        sample_weight: ByMember = None,
        training: bool = False,
    ) -> BatchValues:
        """Return what the objective's names mean on one batch.

        Args:
            forward: one forward pass of all members.
            y: labels, for all or by member.
            sample_weight: weights, for all or by member.
            training: whether this is a training step.
        """
        return BatchValues(
            forward,
            self.members,
            self.compiled_settings.losses,
            route(y, (*self._member_names, FUSED)),
            route(sample_weight, (*self._member_names, FUSED)),
            self._coefficients.by_name,
            self._auxiliary,
            self._known_complete(training).labels,
            self._class_weights if training else None,
        )

    def train_step(self, *args: Nested) -> Any:
        """Take one step; layers that terms read are kept until its end."""
        with self._step_context.open():
            return super().train_step(*args)

    def test_step(self, *args: Nested) -> Any:
        """Evaluate one batch; layers that terms read are kept until its end."""
        with self._step_context.open():
            return super().test_step(*args)

    def explain(
        self,
        x: Mapping[str, object] | None = None,
        y: ByMember = None,
        sample_weight: ByMember = None,
    ) -> Explanation:
        """Return what the objective does to each network, before it is done.

        Args:
            x: inputs by member, one batch; adds the gradient-flow table.
            y: labels of that batch.
            sample_weight: weights of that batch.

        Returns:
            An `Explanation`: text when printed, and `.to_dict()`.
        """
        return explain_model(self, x, y, sample_weight)
