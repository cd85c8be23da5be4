"""The optimizer that keeps one inner optimizer a member."""

from __future__ import annotations

from collections import UserList
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import keras
from keras.optimizers import Optimizer

from coloss.joint.optimizers import inner
from coloss.names import nearest
from coloss.typing import Store, Tensor

ANY = "*"
"""The key of the default optimizer, and of the group that all members share."""

ByGroup: TypeAlias = Mapping[str, Sequence[keras.Variable]]

Extra: TypeAlias = ByGroup | Callable[[], ByGroup]
"""Variables outside the members by the member whose optimizer moves them."""

VariableKey: TypeAlias = str | int
"""What Keras knows a variable by."""


@keras.saving.register_keras_serializable(package="coloss")
class JointOptimizer(keras.optimizers.MultiOptimizer):
    """A Keras optimizer that keeps one inner optimizer a member.

    `resolve` makes it and tells it which member owns which variable. A variable
    that several members share belongs to the first of them. Members that the
    objective does not reach get no slots and no update, not even weight decay.

    Args:
        optimizers: Keras optimizers by member name; `"*"` stands for every other
            member (these share it, as one group).
        loss_scale_factor: number by which the loss is scaled. Defaults to that of
            the inner optimizers, which must agree.
        name: name of the optimizer.

    Raises:
        TypeError: if an inner optimizer is not a Keras optimizer.
        ValueError: if there is none, or one that cannot be a part.

    Examples:
        >>> optimizer = JointOptimizer({"a": keras.optimizers.SGD(0.5), "*": keras.optimizers.Adam()})
        >>> float(optimizer["a"].learning_rate)
        0.5
    """  # noqa: E501

    def __init__(
        self,
        optimizers: Mapping[str, Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        """Take the inner optimizers; variables are assigned in `build`."""
        inner.check(optimizers)
        if loss_scale_factor is None:
            loss_scale_factor = inner.common_scale(optimizers)
        super().__init__(lambda variable: None, None, name)
        self._owners: Callable[[], dict[VariableKey, tuple[str, bool]]] | None = None
        self._set_groups(optimizers)
        self.loss_scale_factor = loss_scale_factor

    def _set_groups(self, groups: Mapping[str, Optimizer]) -> None:
        # Neither a dict nor a list: Keras's saving walks through those and would
        # save the inner optimizers a second time, by position.
        self._groups = MappingProxyType(dict(groups))
        unique = {id(optimizer): optimizer for optimizer in groups.values()}
        self._inner_optimizers = UserList(unique.values())

    @property
    def groups(self) -> Mapping[str, Optimizer]:
        """The inner optimizers by member name (`"*"`: shared by the others)."""
        return self._groups

    def __getitem__(self, member: str) -> Optimizer:
        """Return the optimizer that moves a member.

        Raises:
            KeyError: if no member has this name.
        """
        if member in self._groups:
            return self._groups[member]
        if ANY in self._groups:
            return self._groups[ANY]
        raise KeyError(
            f"no optimizer for member {member!r}{nearest(member, self._groups)}"
        )

    def bind(
        self,
        members: Mapping[str, keras.Model],
        *,
        reached: Collection[str] | None = None,
        extra: Extra | None = None,
        fallback: Optimizer | None = None,
    ) -> JointOptimizer:
        """Tell which variables belong to which member; `resolve` calls this.

        Args:
            members: networks by name, in the order that decides who owns a
                shared variable.
            reached: names of the members that the objective reaches; None: all.
            extra: variables outside the members by the member whose optimizer
                moves them, or a function that returns them at build time. The
                key `"*"` makes a group of its own.
            fallback: what the group `"*"` of `extra` is cloned from where there
                is none. Defaults to the first optimizer.

        Returns:
            The optimizer itself.

        Raises:
            ValueError: if a member has no optimizer, or a name fits no member.
        """
        check_names(self._groups, members, reached)
        template = fallback or next(iter(self._groups.values()))
        # Functions, not attributes: Keras's saving would walk into members.
        self._make_shared = lambda: inner.clone(template, "shared")
        self._owners = lambda: _ownership(members, reached, extra, self._var_key)
        self._trainable_variables_indices: dict[VariableKey, int] = {}
        self.built = False
        return self

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        """Assign each variable to its member's optimizer and make the slots.

        Args:
            var_list: the trainable variables of the joint model.

        Raises:
            ValueError: if the owner of a variable is unknown, or an inner
                optimizer was built for other variables before.
        """
        if self.built:
            return
        owners = {} if self._owners is None else self._owners()
        assigned: dict[VariableKey, str | None] = {}
        lists: dict[str, list[keras.Variable]] = {}
        for variable in var_list:
            group, active = self._group_of(variable, owners)
            assigned[self._var_key(variable)] = group if active else None
            if active:
                lists.setdefault(group, []).append(variable)
        for group, variables in lists.items():
            inner.build(group, self._groups[group], variables)
        self._assigned = MappingProxyType(assigned)
        keras.optimizers.Optimizer.build(self, list(var_list))

    def _group_of(
        self, variable: keras.Variable, owners: Mapping[VariableKey, tuple[str, bool]]
    ) -> tuple[str, bool]:
        if self._owners is None and ANY in self._groups:
            return ANY, True
        try:
            owner, active = owners[self._var_key(variable)]
        except KeyError:
            raise ValueError(
                f"variable {_path(variable)!r} belongs to no member"
                + (
                    ": the optimizer was not bound to members; use "
                    "`resolve(optimizer, members)`."
                    if self._owners is None
                    else "; name the member that moves it in `extra`."
                )
            ) from None
        if owner in self._groups:
            return owner, active
        if ANY not in self._groups:
            shared = self._make_shared()
            shared.loss_scale_factor = self.loss_scale_factor
            self._set_groups({**self._groups, ANY: shared})
        return ANY, active

    @property
    def learning_rate(self) -> keras.Variable:
        """The learning rate of the first group; setting it sets all groups."""
        return self._inner_optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(
        self, value: float | keras.optimizers.schedules.LearningRateSchedule
    ) -> None:
        for optimizer in self._inner_optimizers:
            optimizer.learning_rate = value

    def apply(
        self,
        grads: Iterable[Tensor],
        trainable_variables: Iterable[keras.Variable] | None = None,
    ) -> None:
        """Let each inner optimizer update its variables.

        A group without any gradient is left as it is, and so are the members
        that the objective does not reach.

        Args:
            grads: one gradient (or None) a variable.
            trainable_variables: the variables. Defaults to those of `build`.

        Raises:
            ValueError: if the variables are not those of `build`, or no variable
                has a gradient.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            trainable_variables = self._trainable_variables if self.built else []
        variables = list(trainable_variables)
        self.build(variables)
        if len(grads) != len(variables):
            raise ValueError(_changed(len(grads), len(variables)))
        self._apply_groups(grads, variables)
        self._iterations.assign_add(1)

    def _apply_groups(
        self, grads: list[Tensor], variables: list[keras.Variable]
    ) -> None:
        batches: dict[str, list[tuple[Tensor, keras.Variable]]] = {}
        without = False
        for grad, variable in zip(grads, variables, strict=True):
            key = self._var_key(variable)
            if key not in self._assigned:
                raise ValueError(
                    f"variable {_path(variable)!r} is unknown to the optimizer: "
                    "`trainable` of a member changed after `compile`, or layers "
                    "were added. Call `compile(...)` again."
                )
            group = self._assigned[key]
            if group is None:
                continue
            if grad is None:
                without = True
            else:
                batches.setdefault(group, []).append((grad, variable))
        if without and not batches:
            raise ValueError("the loss gives no gradient to any trainable variable.")
        for group, pairs in batches.items():
            self._groups[group].apply([g for g, _ in pairs], [v for _, v in pairs])

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Tensor],
        grads: Sequence[Tensor],
        trainable_variables: Sequence[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the updated variables (see `keras.optimizers.Optimizer`).

        Raises:
            ValueError: if the variables are not those of `build`.
        """
        if self.built and len(trainable_variables) != len(self._trainable_variables):
            raise ValueError(
                _changed(len(trainable_variables), len(self._trainable_variables))
            )
        return super().stateless_apply(optimizer_variables, grads, trainable_variables)

    def finalize_variable_values(self, var_list: Iterable[keras.Variable]) -> None:
        """Let each inner optimizer finish, for instance put averages in place."""
        if not self.built:
            return
        lists: dict[str, list[keras.Variable]] = {}
        for variable in var_list:
            group = self._assigned.get(self._var_key(variable))
            if group is not None:
                lists.setdefault(group, []).append(variable)
        for group, variables in lists.items():
            self._groups[group].finalize_variable_values(variables)

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        """Set the variables, in the order of `variables`."""
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: Store) -> None:
        """Save the state of each inner optimizer under its member's name."""
        inner.save(store, self._iterations, self._groups)

    def load_own_variables(self, store: Store) -> None:
        """Load by member name; what does not fit is left out with a warning."""
        inner.load(store, self._iterations, self._groups)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration; the members are told anew by `resolve`."""
        serialize = keras.saving.serialize_keras_object
        return {
            "optimizers": {k: serialize(v) for k, v in self._groups.items()},
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> JointOptimizer:
        """Make an optimizer from its configuration."""
        optimizers = {
            name: keras.saving.deserialize_keras_object(
                inner, custom_objects=custom_objects
            )
            for name, inner in config["optimizers"].items()
        }
        return cls(**{**config, "optimizers": optimizers})


def check_names(
    given: Mapping[str, object],
    members: Mapping[str, keras.Model],
    reached: Collection[str] | None = None,
) -> None:
    """Refuse optimizers and reached names that do not fit the members.

    Args:
        given: optimizers by member name, or `"*"`.
        members: networks by name.
        reached: names of members.

    Raises:
        ValueError: if a name fits no member, or a member has no optimizer.
    """
    for what, names in (("optimizer", given), ("reached", reached or ())):
        for name in names:
            if name not in members and not (name == ANY and what == "optimizer"):
                raise ValueError(_unknown(what, name, members))
    missing = [name for name in members if name not in given]
    if missing and ANY not in given:
        raise ValueError(
            f"`optimizer` has no entry for member {missing[0]!r}; found entries for "
            f"{', '.join(map(repr, given)) or 'no member'}. Add {missing[0]!r}: "
            '"adam", or a default for all others: "*": "adam".'
        )


def _unknown(what: str, name: str, members: Mapping[str, keras.Model]) -> str:
    return (
        f"`{what}` names {name!r}, which is no member{nearest(name, members) or '.'} "
        f"The members are {', '.join(map(repr, members))}."
    )


def _ownership(
    members: Mapping[str, keras.Model],
    reached: Collection[str] | None,
    extra: Extra | None,
    key: Callable[[keras.Variable], VariableKey],
) -> dict[VariableKey, tuple[str, bool]]:
    """Return by variable: its first owner, and whether the objective reaches it."""
    found: dict[VariableKey, tuple[str, bool]] = {}
    extras = extra() if callable(extra) else extra or {}
    for name in extras:
        if name not in members and name != ANY:
            raise ValueError(_unknown("extra", name, members))
    lists = [(name, member.weights) for name, member in members.items()]
    for name, variables in [*lists, *extras.items()]:
        active = reached is None or name in reached or name == ANY
        for variable in variables:
            owner, before = found.get(key(variable), (name, False))
            found[key(variable)] = (owner, before or active)
    return found


def _path(variable: keras.Variable) -> str:
    return str(getattr(variable, "path", getattr(variable, "name", variable)))


def _changed(found: int, expected: int) -> str:
    return (
        f"found {found} trainable variables or gradients, expected the {expected} that "
        "the optimizer was built with: `trainable` of a member changed after "
        "`compile`, or layers were added. Call `compile(...)` again."
    )
