"""The other side of `other_backend`: run with `python -m`, under another backend.

Reads a request from the present folder, writes the export, and leaves an answer.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any, cast

import keras

from coloss.joint.export.other_backend import decoded
from coloss.joint.export.write import Structure, write


def main(request_path: str) -> int:
    """Do what the request says.

    Args:
        request_path: a JSON file, as `other_backend.write_elsewhere` leaves it.

    Returns:
        The exit status; `answer.json` says why it is not 0.
    """
    request = json.loads(Path(request_path).read_text())
    kind, error = "load", ""
    try:
        model = _load(request)
        kind = "export"
        write(
            model,
            Path(request["path"]),
            request["format"],
            cast("list[Structure]", decoded(request["signature"])),
            request["options"],
        )
    except Exception as reason:
        # Whatever it is, it belongs to the user of the other process.
        error = f"{type(reason).__name__}: {reason}"
    Path("answer.json").write_text(json.dumps({"kind": kind, "error": error}))
    return 1 if error else 0


def _load(request: dict[str, Any]) -> keras.Model:
    custom = {}
    for module, name, _ in request["custom"]:
        # Registered ones are known by being imported.
        found = getattr(importlib.import_module(module), name, None)
        if found is not None:
            custom[name] = found
    return keras.saving.load_model(
        request["model"], custom_objects=custom, compile=False
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
