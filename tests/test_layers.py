"""The house holds: imports go downward, in no circle; backends stay in their files."""

from __future__ import annotations

import pytest

from tools import house
from tools.house import MODULES


def test_imports_between_rooms_go_downward():
    assert house.upward(1, house.FLOORS, "coloss") == []


def test_imports_inside_joint_go_downward():
    assert house.upward(2, house.FLOORS_OF_JOINT, "coloss.joint") == []


def test_no_modules_import_each_other_in_a_circle():
    assert house.circles() == []


def test_backends_are_imported_in_files_of_their_names():
    found = {}
    for module, path in MODULES.items():
        roots = {name.split(".")[0] for name in house.imports(module)}
        backends = {
            n for n in roots & set(house.BACKENDS) if path.stem != house.BACKENDS[n]
        }
        if backends and not module.startswith("coloss.study.engines."):
            found[module] = backends
    assert not found


def test_the_private_side_of_keras_is_behind_one_module():
    found = [
        module
        for module in MODULES
        if any(name.startswith("keras.src") for name in house.imports(module))
    ]
    assert found == ["coloss.joint.keras_internals"]


def test_no_file_is_longer_than_400_lines():
    sizes = {m: len(p.read_text("utf-8").splitlines()) for m, p in MODULES.items()}
    assert {module: size for module, size in sizes.items() if size > 400} == {}


@pytest.mark.parametrize("name", house.PICTURES)
def test_the_drawing_shows_the_house_as_it_is(name):
    # Rooms and arrows; how long a room is may change between two drawings.
    drawn = (house.ROOT / "docs" / name).read_text("utf-8")
    now = house.drawing(*house.PICTURES[name])

    def shape(text):
        lines = [line for line in text.splitlines() if line.startswith("<rect")]
        return [line.split("</text>")[0] for line in lines]

    assert shape(drawn) == shape(now), "run `python -m tools.house`"
