"""Networks of a configuration, as a joint model, compiled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from coloss.cli.config import Config
from coloss.cli.config.checks import OUTPUT
from coloss.cli.config.coefficients import as_schedule
from coloss.cli.config.layers import KERAS_NAMES
from coloss.cli.config.members import Member
from coloss.cli.errors import CliError
from coloss.data import Standardizer
from coloss.joint import Inputs, JointModel, Recorded
from coloss.joint.inputs.input_order import symbols_by_key
from coloss.joint.saving.foreign import ForeignFileError, load_foreign
from coloss.names import counted


def build_joint(
    config: Config,
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    outputs: int,
    standardizers: Mapping[str, Standardizer],
) -> JointModel:
    """Return the joint model of a configuration, uncompiled.

    Args:
        config: checked.
        folder: that paths are relative to.
        shapes: of one row, by member.
        outputs: classes, or 1 for numbers.
        standardizers: by member whose network standardizes its input.

    Raises:
        CliError: if a network cannot be built, or a saved one does not fit.
    """
    members: dict[str, keras.Model] = {}
    inputs = {}
    for name, member in config.members.items():
        if member.outputs is not None:
            members[name] = _recorded(name, config.recorded[name], shapes[name])
            continue
        if member.model is not None:
            network = _loaded(name, folder / member.model)
        elif member.inputs is not None:
            network = _of_several(config, name, member, shapes, outputs, standardizers)
        else:
            given = standardizers.get(name)
            network = _built(config, name, member, shapes[name], outputs, given)
        if member.inputs is None:
            _check_input(name, network, shapes[name])
        else:
            inputs[name] = _inputs(member)
            _check_inputs(name, network, {n: shapes[n] for n in member.inputs})
        _check(name, network, outputs)
        if member.frozen:
            network.trainable = False
        members[name] = network
    return JointModel(members, fuse=config.objective.fuse, inputs=inputs)


def _inputs(member: Member) -> Inputs:
    keys = member.inputs or ()
    return Inputs(*keys, missing=member.missing, dropout=member.input_dropout)


def _recorded(name: str, kind: str, shape: tuple[int, ...]) -> Recorded:
    """Return recorded predictions as a member, built: a run counts its weights."""
    member = Recorded(kind, name=name)
    member.build((None, *shape))
    return member


def _of_several(
    config: Config,
    name: str,
    member: Member,
    shapes: Mapping[str, tuple[int, ...]],
    outputs: int,
    standardizers: Mapping[str, Standardizer],
) -> keras.Model:
    """Return a network of several inputs, which stand one behind the other."""
    keys = member.inputs or ()
    inputs = [keras.Input(shapes[key], name=key) for key in keys]
    parts = []
    for key, part in zip(keys, inputs, strict=True):
        if key in standardizers and config.data.standardize:
            part = _standardize(standardizers[key], f"standardize_{key}")(part)
        parts.append(part if len(part.shape) == 2 else keras.layers.Flatten()(part))
    joined = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    shape = tuple(joined.shape[1:])
    body = _built(config, name, member, shape, outputs, None)
    output = joined
    # Its layers, not the network: terms name them, as in all.hidden.
    for layer in body.layers:
        output = layer(output)
    return keras.Model(inputs, output, name=name)


def _standardize(standardizer: Standardizer, name: str) -> keras.layers.Layer:
    return keras.layers.Normalization(
        mean=standardizer.mean.tolist(),
        variance=standardizer.variance.tolist(),
        name=name,
    )


def _built(
    config: Config,
    name: str,
    member: Member,
    shape: tuple[int, ...],
    outputs: int,
    standardizer: Standardizer | None,
) -> keras.Model:
    layers: list[Any] = [keras.Input(shape)]
    if standardizer is not None:
        layers.append(_standardize(standardizer, "standardize"))
    for layer in member.layer_list:
        kind = type(layer).__name__
        make = getattr(keras.layers, KERAS_NAMES.get(kind, kind))
        layers.append(make(**layer.arguments()))
    activation = "softmax" if config.is_classification else None
    layers.append(keras.layers.Dense(outputs, activation, name=OUTPUT))
    try:
        return keras.Sequential(layers, name=name)
    except ValueError as error:
        raise CliError(
            f"members.{name}.layers do not fit each other or rows of shape {shape}: "
            f"{_first(error)}"
        ) from None


def _loaded(name: str, path: Path) -> keras.Model:
    key = f"members.{name}.model"
    try:
        network = load_foreign(path, compile=False)
    except FileNotFoundError:
        raise CliError(f"{key}: there is no file '{path}'.") from None
    except ForeignFileError as error:
        raise CliError(f"{key}: {error}.") from None
    if not isinstance(network, keras.Model) or isinstance(network, JointModel):
        raise CliError(
            f"{key}: '{path}' holds a {type(network).__name__}; expected the network "
            "of one member. `joint[name].save(...)` writes one."
        )
    return network


def _check_input(name: str, network: keras.Model, shape: tuple[int, ...]) -> None:
    found = network.input_shape
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, list | dict):
        raise CliError(
            f"members.{name}.model takes {counted(len(found), 'input')}; say which: "
            'inputs = ["acoustic", "visual"].'
        )
    if tuple(found[1:]) != shape:
        raise CliError(
            f"members.{name}.model takes rows of shape {tuple(found[1:])}; its data "
            f"has {shape}."
        )


def _check_inputs(
    name: str, network: keras.Model, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    try:
        symbols = symbols_by_key(name, network, tuple(shapes))
    except ValueError as error:
        raise CliError(f"members.{name}: {error}") from None
    if symbols is None:
        raise CliError(
            f"members.{name}.model takes {counted(len(network.inputs), 'input')}; "
            f"`inputs` names {len(shapes)}: {', '.join(shapes)}."
        )
    for key, symbol in symbols.items():
        if tuple(symbol.shape[1:]) != shapes[key]:
            raise CliError(
                f"members.{name}.model takes rows of shape {tuple(symbol.shape[1:])} "
                f"as {key!r}; its data has {shapes[key]}."
            )


def _check(name: str, network: keras.Model, outputs: int) -> None:
    found = tuple(network.output_shape[1:])
    if found == (outputs,):
        return
    place = f"members.{name}"
    if len(found) > 1:
        raise CliError(
            f"{place}: the network ends in rows of shape {found}; expected "
            f'({outputs},). Add {{ kind = "flatten" }} or '
            '{ kind = "global_average_pool1d" }.'
        )
    raise CliError(
        f"{place}.model has {counted(found[0], 'output')}; the data needs {outputs}."
    )


def optimizer_of(config: Config) -> Any:
    """Return one optimizer, or one for each network with its own learning rate.

    As configurations: every model that is compiled makes its own from them.
    """
    own = {n: m.learning_rate for n, m in config.members.items() if m.learning_rate}
    common = _optimizer(config, config.training.learning_rate)
    if not own:
        return common
    # Recorded predictions are a member without a rate, and have the common one.
    if len(own) == len(config.members):
        return {name: _optimizer(config, rate) for name, rate in own.items()}
    return {**{n: _optimizer(config, r) for n, r in own.items()}, "*": common}


def _optimizer(config: Config, rate: float) -> dict[str, Any]:
    training = config.training
    settings: dict[str, Any] = {"learning_rate": rate}
    for key in ("weight_decay", "clipnorm"):
        if getattr(training, key) is not None:
            settings[key] = getattr(training, key)
    classes = {name.lower(): name for name in dir(keras.optimizers)}
    return {"class_name": classes[training.optimizer], "config": settings}


def compile_arguments(config: Config) -> dict[str, Any]:
    """Return the arguments of `JointModel.compile`, without objective and optimizer."""
    training, classes = config.training, config.is_classification
    usual = "sparse_categorical_crossentropy" if classes else "mean_squared_error"
    arguments: dict[str, Any] = {
        "loss": training.loss or usual,
        "metrics": ["accuracy"] if classes else ["r2", "rmse", "mean_absolute_error"],
    }
    for key in ("weighting", "aggregator"):
        if getattr(training, key) is not None:
            arguments[key] = getattr(training, key)
    if training.steps_per_execution != "auto":
        arguments["steps_per_execution"] = training.steps_per_execution
    if training.on_nonfinite != "raise":
        arguments["on_nonfinite"] = training.on_nonfinite
    return arguments


def compile_joint(config: Config, joint: JointModel) -> list[str]:
    """Compile a joint model as configured, and return the warnings.

    Raises:
        CliError: if it is refused.
    """
    coefficients = {n: as_schedule(v) for n, v in config.coefficients.items()}
    named = _named(config)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            joint.compile(
                optimizer=optimizer_of(config),
                objective=config.objective_text,
                coefficients={n: v for n, v in coefficients.items() if n in named},
                on_ascent=config.objective.on_ascent,
                **compile_arguments(config),
            )
    except (TypeError, ValueError, KeyError) as error:
        raise CliError(f"the objective cannot be trained: {error}") from None
    # Others, as of deprecation, are for those who write code.
    meant = [one for one in caught if issubclass(one.category, UserWarning)]
    return list(dict.fromkeys(str(one.message) for one in meant))


def _named(config: Config) -> frozenset[str]:
    """Return the names in the objective; a study's arms may need more coefficients."""
    from coloss.objective import Objective

    return frozenset(Objective(config.objective_text).names)


def _first(error: Exception) -> str:
    """Return the first paragraph of a message of Keras."""
    return str(error).strip().split("\n\n")[0].replace("\n", " ")
