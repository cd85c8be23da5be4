"""Formats for deployment, and which backend can write each of them here."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coloss.names import nearest, unknown


@dataclass(frozen=True)
class Route:
    """A way to write a format.

    Attributes:
        backend: the Keras backend that writes.
        packages: what must be installed, as (module, name for pip).
        whole: whether a whole joint model comes out right, too. It looks for
            missing rows in a branch: PyTorch's tracers keep one side of it, and
            tf2onnx writes a graph that answers NaN.
    """

    backend: str
    packages: tuple[tuple[str, str], ...]
    whole: bool = False

    @property
    def missing(self) -> list[str]:
        """What `pip install` would have to bring."""
        return [pip for module, pip in self.packages if not installed(module)]


_JAX = ("jax", "jax")
_TENSORFLOW = ("tensorflow", "tensorflow")
_TORCH = ("torch", "torch")
_ONNX = ("onnx", "onnx")

# Every pair that Keras 3.15 offers was tried, and those stand here whose files give
# the model's outputs for any batch size. Not so: litert from torch has a fixed batch;
# openvino from torch loses shapes, from jax fails; tf_saved_model from torch needs
# torch_xla, which does not run beside numpy 2.
ROUTES: dict[str, tuple[Route, ...]] = {
    "keras": (),
    "onnx": (
        Route("tensorflow", (_TENSORFLOW, ("tf2onnx", "tf2onnx"), _ONNX)),
        Route("torch", (_TORCH, _ONNX)),
        Route("jax", (_JAX, ("jax2onnx", "jax2onnx")), whole=True),
    ),
    "tf_saved_model": (
        Route("tensorflow", (_TENSORFLOW,), whole=True),
        Route("jax", (_JAX, _TENSORFLOW), whole=True),
    ),
    "litert": (Route("tensorflow", (_TENSORFLOW,), whole=True),),
    "openvino": (Route("tensorflow", (_TENSORFLOW, ("openvino", "openvino"))),),
    "torch": (Route("torch", (_TORCH,)),),
}
SUFFIXES = {
    "keras": ".keras",
    "onnx": ".onnx",
    "litert": ".tflite",
    "openvino": ".xml",
    "torch": ".pt2",
}


def installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    found = importlib.util.find_spec(module)
    # A folder of that name without code in it is found, too, and has no loader.
    return found is not None and found.origin is not None


def format_of(path: Path, given: str | None) -> str:
    """Return the format, by name or by the file's suffix.

    Args:
        path: where the file will be.
        given: the format's name; None: by the suffix, and without one
            "tf_saved_model".

    Raises:
        ValueError: for an unknown name or suffix, or a suffix of another format.
    """
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
    if given is None:
        if path.suffix and path.suffix not in by_suffix:
            raise ValueError(
                f"{path.name!r} does not say in which format to write; pass `format=` "
                f"({', '.join(ROUTES)})."
            )
        return by_suffix.get(path.suffix, "tf_saved_model")
    if given not in ROUTES:
        raise ValueError(unknown("format", given, ROUTES))
    if SUFFIXES.get(given, path.suffix) != path.suffix:
        raise ValueError(
            f"a file in the format {given!r} ends in {SUFFIXES[given]!r}; "
            f"found {path.name!r}."
        )
    return given


def choose(
    format: str, own: str, wanted: str | None = None, *, whole: bool = False
) -> Route:
    """Return who writes: the own backend where it can, else another installed one.

    Args:
        format: a key of `ROUTES`.
        own: the backend that runs.
        wanted: the backend that must write; None: any.
        whole: whether a whole joint model is written.

    Raises:
        ValueError: if no backend, or not the wanted one, writes this format.
        RuntimeError: if something must be installed first; it names what.
    """
    routes = [route for route in ROUTES[format] if route.whole or not whole]
    if not routes:
        raise ValueError(
            f"a whole joint model cannot be written as {format!r}; name one member, "
            f"as in `member=...`, or take one of the formats "
            f"{', '.join(_formats_for_all())}."
        )
    names = [route.backend for route in routes]
    if wanted is not None and wanted not in names:
        raise ValueError(
            f"the backend {wanted!r} does not write {format!r}"
            f"{nearest(str(wanted), names)} (backends that do: {', '.join(names)})"
        )
    routes = [route for route in routes if wanted in (None, route.backend)]
    # Stable: beside the own backend, the order of the table remains.
    routes.sort(key=lambda route: route.backend != own)
    for route in routes:
        if not route.missing:
            return route
    raise RuntimeError(_what_to_install(format, own, routes))


def _formats_for_all() -> list[str]:
    return [
        name
        for name, routes in ROUTES.items()
        if not routes or any(route.whole for route in routes)
    ]


def _what_to_install(format: str, own: str, routes: Sequence[Route]) -> str:
    ways = [
        f"  pip install {' '.join(route.missing)}"
        + ("" if route.backend == own else f"   (then {route.backend} writes it)")
        for route in routes
    ]
    one = "one of:" if len(ways) > 1 else "it:"
    return (
        f"nothing that is installed here writes {format!r}. Install {one}\n"
        + "\n".join(ways)
    )
