"""What is written is whole, and the old file stays until then."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys

import pytest

from coloss import writing

OLD, NEW = b"years of work", b"x" * 100_000


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    return path


@contextlib.contextmanager
def full_disk(size=1000):
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file(old):
    with full_disk(), pytest.raises(OSError, match="File too large"):
        writing.write_bytes(old, NEW)
    assert old.read_bytes() == OLD
    assert os.listdir(old.parent) == [old.name]
    writing.write_bytes(old, NEW)
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("step", ["_to_disk", "_move"])
def test_an_error_before_the_move_leaves_the_old_file(old, monkeypatch, step):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, step, fail)
    with pytest.raises(KeyboardInterrupt):
        writing.write_bytes(old, NEW)
    assert old.read_bytes() == OLD
    assert os.listdir(old.parent) == [old.name]


def test_a_kill_leaves_the_old_file(old):
    script = (
        "import os, signal, sys\n"
        "from coloss import writing\n"
        "with writing.whole(sys.argv[1]) as partial:\n"
        "    partial.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(old)], check=False)
    assert done.returncode < 0
    assert old.read_bytes() == OLD
    left = [name for name in os.listdir(old.parent) if name != old.name]
    assert all(name.startswith(writing.PARTIAL) for name in left)


def test_a_link_stays_and_so_do_rights(old, tmp_path):
    old.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(old.name)
    writing.write_text(link, "new")
    assert link.is_symlink() and old.read_text() == "new"
    assert old.stat().st_mode & 0o777 == 0o640


def test_a_file_takes_the_place_of_no_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_bytes(OLD)
    for replace in (False, True):
        with (
            pytest.raises(IsADirectoryError),
            writing.whole(tmp_path / "folder", replace_folder=replace) as partial,
        ):
            partial.write_bytes(NEW)
    assert (tmp_path / "folder" / "thesis.tex").read_bytes() == OLD


def test_a_folder_that_cannot_move_leaves_the_old_one(tmp_path, monkeypatch):
    place = tmp_path / "model"
    place.mkdir()
    (place / "weights").write_bytes(OLD)
    replace = os.replace

    def fail(source, target):
        if str(target) == str(place) and ".replaced" not in str(source):
            raise OSError("no")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with (
        pytest.raises(OSError, match="no"),
        writing.whole(place, replace_folder=True) as partial,
    ):
        partial.mkdir()
    assert (place / "weights").read_bytes() == OLD


def test_a_file_that_is_protected_is_not_replaced(old):
    old.chmod(0o444)
    if os.access(old, os.W_OK):
        pytest.skip("this user may write everything")
    with pytest.raises(PermissionError):
        writing.write_bytes(old, NEW)
    assert old.read_bytes() == OLD
