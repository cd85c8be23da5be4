"""Files of a checkpoint: what is damaged is found, and never read on."""

from __future__ import annotations

import json
import resource
import struct

import ml_dtypes
import numpy as np
import pytest

from coloss.checkpoint import CheckpointError, files, folder, tree
from coloss.checkpoint.files import About, DamagedError

ABOUT = About(7, 2, False, {"the objective": "a + b"}, {"keras": "3"})
STATE = {
    "values": [np.arange(6, dtype="float32").reshape(2, 3), np.float32(0.1)],
    "history": {"loss": [0.1, float("nan"), 1e-300]},
    "generator": (3, (1, 2, 2**32 - 1), None),
    "odd": {1: {"a", "b"}, "": [], "x/y": {"kind": "array"}},
}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "step-00000007"
    files.write(path, ABOUT, files.packed(STATE))
    return path


def same(one, other):
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(same(a, b) for a, b in pairs)
    if isinstance(one, np.ndarray | np.generic):
        equal = np.array_equal(one, other) and one.dtype == other.dtype
        return type(one) is type(other) and equal
    return type(one) is type(other) and (one == other or one != one)


def test_a_state_comes_back_as_it_was(checkpoint):
    assert same(files.read(checkpoint), STATE)
    assert files.read_about(checkpoint) == ABOUT
    assert sorted(one.name for one in checkpoint.iterdir()) == sorted(files.FILES)
    assert sorted(one.name for one in checkpoint.parent.iterdir()) == [checkpoint.name]


def test_types_that_numpy_does_not_know_come_back():
    array = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    arrays = {}
    packed = json.loads(json.dumps(tree.pack({"a": array}, arrays, "state")))
    assert {one.dtype.name for one in arrays.values()} == {"uint8"}
    assert same(tree.unpack(packed, arrays), {"a": array})


def kinds():
    """Return arrays of every type, some empty, of one number, or not in C order."""
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 99, (3, 4))
    found = [grid.astype(kind) for kind in "?bBhHiIlLefd"]
    found += [grid.T, np.zeros((0, 3)), np.array(1.5), np.array(True), grid[::2, 1:]]
    found += [grid.astype(">f4"), grid + 1j, np.array([["a", "bcd"]]), np.array(b"x")]
    return found


def test_arrays_of_every_type_come_back(tmp_path):
    files.write(tmp_path / "a", ABOUT, files.packed({"arrays": kinds()}))
    for found, expected in zip(
        files.read(tmp_path / "a")["arrays"], kinds(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.flags.writeable or found.dtype.kind in "USc"


def test_the_arrays_are_in_the_layout_of_safetensors(checkpoint):
    """Read by the layout's own words: a length, a header, and bytes without gaps."""
    content = (checkpoint / files.ARRAYS).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0 and list(header) == ["00000", "00001"]
    assert header["00000"] == {
        "dtype": "F32",
        "shape": [2, 3],
        "data_offsets": [0, 24],
    }
    data = content[8 + length :]
    assert struct.unpack("<7f", data) == (*range(6), np.float32(0.1))


def test_the_memory_of_a_written_copy_is_used_where_it_fits():
    def state(fill, length):
        odd = np.full(length, fill, ml_dtypes.bfloat16)
        return {"a": np.full((2, 3), fill, "float32"), "b": odd, "c": [fill] * length}

    first = files.packed(state(1, 2))
    memory = first.arrays["00000"]
    second = files.packed(state(2, 2), first)
    assert second.arrays["00000"] is memory
    third = files.packed(state(3, 4), second)
    for packed, fill, length in ((second, 3, 2), (third, 3, 4)):
        found = tree.unpack(packed.rest, packed.arrays)
        assert np.array_equal(found["a"], state(fill, length)["a"])
    assert same(tree.unpack(third.rest, third.arrays), state(3, 4))
    other = files.packed({"a": np.zeros((3, 2)), "b": np.zeros(4, "uint8")}, third)
    assert same(tree.unpack(other.rest, other.arrays)["b"], np.zeros(4, "uint8"))


def test_what_is_copied_does_not_change_with_the_training():
    state = {"values": [np.zeros(3)], "history": [1.0], "more": {"a": [[1]]}}
    copied = files.packed(state)
    state["values"][0] += 1
    state["history"].append(2.0)
    state["more"]["a"][0].append(3)
    arrays = copied.arrays
    expected = {"values": [np.zeros(3)], "history": [1.0], "more": {"a": [[1]]}}
    assert same(tree.unpack(copied.rest, arrays), expected)


@pytest.mark.parametrize("value", [object(), np.array([object()]), lambda: 0])
def test_what_cannot_be_written_is_named(value):
    with pytest.raises(TypeError, match="state/callbacks/1"):
        files.packed({"callbacks": [0, value]})


@pytest.mark.parametrize("name", files.FILES)
def test_every_flipped_bit_is_found(checkpoint, name):
    file = checkpoint / name
    good = file.read_bytes()
    places = np.random.default_rng(0).choice(8 * len(good), 200, replace=False)
    for place in [*places, 0, 8 * len(good) - 1]:
        bad = bytearray(good)
        bad[place // 8] ^= 1 << (place % 8)
        file.write_bytes(bad)
        with pytest.raises(DamagedError, match=name):
            files.read_about(checkpoint)
            files.read(checkpoint)
    file.write_bytes(good)
    assert same(files.read(checkpoint), STATE)


@pytest.mark.parametrize("name", files.FILES)
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "gone", "folder", "link"])
def test_other_damage_is_found(checkpoint, name, damage):
    file = checkpoint / name
    content = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "link":
        file.symlink_to(checkpoint.parent / "elsewhere")
        (checkpoint.parent / "elsewhere").write_bytes(content)
    elif damage != "gone":
        changed = {"cut": content[:-1], "longer": content + b"\n", "empty": b""}
        file.write_bytes(changed[damage])
    with pytest.raises(DamagedError, match=name):
        files.read(checkpoint)


def rewritten(checkpoint, **changed):
    """Sign a manifest again, as an attacker can."""
    content = json.loads((checkpoint / files.MANIFEST).read_bytes()) | changed
    (checkpoint / files.MANIFEST).write_bytes(files._signed(content))


def test_another_format_is_refused_not_passed_over(checkpoint):
    rewritten(checkpoint, format=9)
    with pytest.raises(CheckpointError, match=r"format 9; .* reads format 2"):
        folder.CheckpointFolder(checkpoint.parent, 2).newest()


FLAWS = {
    "longer than the file": lambda told: {"a": {**told, "shape": [10**12]}},
    "gap": lambda told: {"a": {**told, "data_offsets": [8, 16]}},
    "twice": lambda told: {"a": told, "b": told},
    "shape": lambda told: {"a": {**told, "shape": [3]}},
    "negative": lambda told: {"a": {**told, "shape": [-1, -2]}},
    "type": lambda told: {"a": {**told, "dtype": "O"}},
    "no list": lambda told: [told],
    "short": lambda told: {},
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_header_that_lies_is_refused(checkpoint, flaw):
    told = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps(FLAWS[flaw](told)).encode()
    content = struct.pack("<Q", len(header)) + header + b"\0" * 8
    (checkpoint / files.ARRAYS).write_bytes(content)
    listed = json.loads((checkpoint / files.MANIFEST).read_bytes())["files"]
    listed[files.ARRAYS] = {"bytes": len(content), "sha256": files._digest(content)}
    rewritten(checkpoint, files=listed)
    with pytest.raises(DamagedError, match="holds no state"):
        files.read(checkpoint)


def write(where, step, finished=False, keep=2):
    about = About(step, 1, finished, {}, {})
    return folder.CheckpointFolder(where, keep).write(
        about, files.packed({"step": step})
    )


def test_the_newest_that_is_whole_is_found_and_the_others_named(tmp_path):
    for step in (3, 6, 9):
        write(tmp_path, step, keep=5)
    for step in (6, 9):
        state = tmp_path / f"step-{step:08d}" / files.STATE
        state.write_bytes(state.read_bytes() + b" ")
    with pytest.warns(UserWarning) as told:
        found = folder.CheckpointFolder(tmp_path, 5).newest()
    assert found.state == {"step": 3} and found.about.step == 3
    for step, warned in zip((9, 6), told, strict=True):
        assert f"step-{step:08d}" in str(warned.message)
    state = tmp_path / "step-00000003" / files.ARRAYS
    state.unlink()
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
        folder.CheckpointFolder(tmp_path, 5).newest()


def test_a_checkpoint_under_another_name_is_damaged(tmp_path):
    write(tmp_path, 3).rename(tmp_path / "step-00000012")
    with pytest.raises(CheckpointError, match="is of step 3"):
        folder.CheckpointFolder(tmp_path, 2).newest()


def test_as_many_stay_as_are_kept_and_nothing_else_is_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-1").mkdir()
    first = write(tmp_path, 1)
    (first / "mine.txt").write_text("mine")
    for step in (2, 3, 4):
        write(tmp_path, step)
    write(tmp_path, 4, finished=True)
    folder.CheckpointFolder(tmp_path, 2).clear_partial()
    names = sorted(one.name for one in tmp_path.iterdir())
    kept = ["step-00000001", "step-00000004", "step-00000004-finished", "step-1"]
    assert names == ["notes.txt", *kept]
    assert folder.CheckpointFolder(tmp_path, 2).newest().about.finished


def test_what_a_kill_left_half_written_goes(tmp_path):
    write(tmp_path, 1)
    half = tmp_path / ".coloss-partial-abc" / "step-00000002"
    half.mkdir(parents=True)
    (half / files.STATE).write_text("{}")
    place = folder.CheckpointFolder(tmp_path, 2)
    assert place.newest().about.step == 1
    place.clear_partial()
    assert [one.name for one in tmp_path.iterdir()] == ["step-00000001"]


def test_a_checkpoint_is_written_over_one_that_is_not_kept(tmp_path):
    place = folder.CheckpointFolder(tmp_path, 1)

    def file(step):
        return tmp_path / f"step-{step:08d}" / files.ARRAYS

    def put(step, length):
        state = files.packed({"a": np.full(length, step)})
        place.write(About(step, 1, False, {}, {}), state)

    for step, length in ((1, 9), (2, 9), (3, 5), (4, 200)):
        put(step, length)
        if step == 1:
            first = file(1).stat().st_ino
        np.testing.assert_array_equal(place.newest().state["a"], np.full(length, step))
    assert file(4).stat().st_ino != first  # That of the second.
    put(5, 7)
    assert place.newest().state["a"].tolist() == [5] * 7
    assert len(list(tmp_path.glob(".coloss-partial-*"))) == 1
    place.clear_partial()
    assert [one.name for one in tmp_path.iterdir()] == ["step-00000005"]


def test_on_a_full_disk_the_older_ones_stay(tmp_path):
    """Wherever the disk gets full: in the arrays, the rest or the manifest."""
    state = files.packed({**STATE, "more": [np.zeros(300, "float32")]})
    place = folder.CheckpointFolder(tmp_path, 2)
    place.write(About(1, 1, False, {}, {}), state)
    place.write(About(2, 1, False, {}, {}), state)
    sizes = {file.name: file.stat().st_size for file in place.newest().path.iterdir()}
    assert max(sizes.values()) > 1000 > min(sizes.values()) > 100
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in sorted({0, 1, 50, *(n - 1 for n in sizes.values())}):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(OSError, match="step-00000003") as raised:
                place.write(About(3, 1, False, {}, {}), state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert raised.value.filename == str(tmp_path / "step-00000003")
        names = sorted(one.name for one in tmp_path.iterdir())
        assert names == ["step-00000001", "step-00000002"]
        assert place.newest().about.step == 2
    place.write(About(3, 1, False, {}, {}), state)
    assert place.newest().about.step == 3
