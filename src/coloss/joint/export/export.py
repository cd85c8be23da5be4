"""One member, or the whole joint model, into a file for deployment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras

from coloss import writing
from coloss.distributed import is_main
from coloss.joint.alone import alone
from coloss.joint.base import JointBase
from coloss.joint.export.formats import ROUTES, choose, format_of, installed
from coloss.joint.export.other_backend import write_elsewhere
from coloss.joint.export.verify import largest_difference
from coloss.joint.export.write import Structure, signature_of, write
from coloss.typing import FilePath


def export(
    joint: JointBase,
    filepath: FilePath,
    member: str | None,
    format: str | None,
    backend: str | None,
    verbose: bool,
    verify: bool,
    options: dict[str, Any],
) -> None:
    """Write one member, or the whole joint model, and say who wrote it.

    What `JointModel.export` takes, with the joint model in front.
    """
    # Before anything else: a wrong name is the first thing to hear of.
    model = joint if member is None else joint[member]
    what = "the whole joint model" if member is None else member
    path = Path(os.fspath(filepath))
    format = format_of(path, format)
    _check_target(path, format)
    if format == "keras":
        _refuse_options(backend, options)
        model.save(path)
        said = f"by {keras.backend.backend()}"
    else:
        with alone(joint):
            if not is_main():
                return
            said = _export(model, what, path, format, backend, verify, dict(options))
    if verbose and is_main():
        print(f"Saved {what} as {format!r} at '{path}', written {said}.")


def _export(
    model: keras.Model | JointBase,
    what: str,
    path: Path,
    format: str,
    backend: str | None,
    verify: bool,
    options: dict[str, Any],
) -> str:
    own = keras.backend.backend()
    whole = hasattr(model, "members")
    writer = choose(format, own, backend, whole=whole).backend
    signature = options.pop("input_signature", None)
    signature = signature_of(model, what) if signature is None else list(signature)
    remarks: list[str] = []

    with writing.whole(path, replace_folder=format == "tf_saved_model") as target:
        if writer != own:
            write_elsewhere(model, what, target, format, signature, options, writer)
        else:
            try:
                write(model, target, format, signature, options)
            except Exception as error:
                error.add_note(_other_ways(format, own, whole))
                raise
        if verify and format == "onnx":
            remarks.append(_verified(model, what, target, signature, writer))
    place = "" if writer == own else " in a process of its own"
    return f"by {writer}{place}{''.join(remarks)}"


def _verified(
    model: keras.Model | JointBase,
    what: str,
    target: Path,
    signature: list[Structure],
    writer: str,
) -> str:
    if not installed("onnxruntime"):
        return "; its outputs were not compared: onnxruntime is not installed"
    try:
        worst, close = largest_difference(model, target, signature)
    except Exception as error:
        raise RuntimeError(
            f"the file that {writer} wrote for {what} does not run: {error}. Nothing "
            "was kept. Try another `backend=`."
        ) from error
    if not close:
        raise RuntimeError(
            f"the file that {writer} wrote gives other outputs than {what}: they "
            f"differ by {worst:g} on random rows. Nothing was kept. Try another "
            "`backend=`; `verify=False` keeps it, for a network that is random."
        )
    return f"; its outputs differ by at most {worst:.1g} on random rows"


def _other_ways(format: str, own: str, whole: bool) -> str:
    others = [
        route.backend
        for route in ROUTES[format]
        if route.backend != own and not route.missing and (route.whole or not whole)
    ]
    if not others:
        return f"Written by {own}; no other backend here writes {format!r}."
    return f"Written by {own}; try `backend={others[0]!r}`."


def _refuse_options(backend: str | None, options: dict[str, Any]) -> None:
    given = [*options, *(["backend"] if backend is not None else [])]
    if given:
        raise ValueError(
            f"a `.keras` file is the same for every backend and takes no option; "
            f"found {', '.join(sorted(given))}."
        )


def _check_target(path: Path, format: str) -> None:
    """Refuse to replace a folder by a file, or a folder of something else."""
    if not path.is_dir():
        return
    if format != "tf_saved_model":
        raise ValueError(f"'{path}' is a folder; {format!r} is a file.")
    if any(path.iterdir()) and not (path / "saved_model.pb").exists():
        raise ValueError(
            f"the folder '{path}' is not empty and holds no SavedModel; it would be "
            "replaced. Choose another one."
        )
    others = sorted(one.name for one in path.iterdir() if not _is_part(one))
    if others:
        raise ValueError(
            f"the folder '{path}' holds a SavedModel, and beside it {others[0]!r}; "
            "it would be replaced. Choose another one, or move that away first."
        )


def _is_part(one: Path) -> bool:
    """Return whether an entry of a folder may be part of a SavedModel."""
    if one.is_symlink():
        return False
    if not one.is_dir():
        return one.suffix == ".pb"
    return one.name in ("assets", "assets.extra") or (
        one.name == "variables"
        and all(file.name.startswith("variables.") for file in one.iterdir())
    )
