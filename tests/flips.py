"""Flips single bits in files that coloss wrote, and counts how many it finds.

    python -m tests.flips --count 500

A checkpoint, a run folder, a study and `.keras` files are made; then, again and again,
one random bit of all their bytes is another one, and they are opened as the commands
open them. Found means: refused, by a sentence that names the file.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Kind:
    """What is damaged.

    Attributes:
        files: all of it.
        read: opens it as coloss does.
        refusals: what it raises over damage.
    """

    files: list[Path]
    read: Callable[[], object]
    refusals: tuple[type[Exception], ...]


def flipped(kind: Kind, chance: random.Random) -> bool:
    """Flip one bit, and return whether it is found and its file named."""
    sizes = [path.stat().st_size for path in kind.files]
    path = chance.choices(kind.files, sizes)[0]
    good = path.read_bytes()
    bad = bytearray(good)
    place = chance.randrange(8 * len(bad))
    bad[place // 8] ^= 1 << (place % 8)
    path.write_bytes(bad)
    try:
        kind.read()
    except kind.refusals as error:
        return path.name.removesuffix(".sha256") in str(error)
    finally:
        path.write_bytes(good)
    return False


def checkpoint(folder: Path) -> Kind:
    """Return a checkpoint of a training of two networks."""
    from coloss.callbacks import Checkpoint
    from coloss.checkpoint import CheckpointError, files
    from tests.checkpoint.interrupted import FIT, X, Y, build

    build().fit(X, Y, **FIT, callbacks=[Checkpoint(folder, keep=1)])
    step = next(folder.glob("step-*"))

    def read() -> None:
        files.read_about(step)
        files.read(step)

    return Kind([p for p in step.iterdir() if p.is_file()], read, (CheckpointError,))


def run(folder: Path) -> Kind:
    """Return a run folder that `coloss train` wrote."""
    from typer.testing import CliRunner

    from coloss.checksum import DamagedFileError
    from coloss.cli.app import app
    from coloss.cli.runs.reopen import open_run
    from tests.cli.mistakes import write_case

    write_case(folder)
    place = folder / "run"
    arguments = ["train", str(folder / "config.toml"), "--epochs", "1"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(place)])
    if done.exit_code:
        raise RuntimeError(done.output)
    found = [path for path in place.rglob("*") if path.is_file()]
    return Kind(found, lambda: open_run(place), (DamagedFileError,))


def study(folder: Path) -> Kind:
    """Return the file of a study with 40 runs, and its checksum."""
    from coloss.checksum import DamagedFileError
    from coloss.study.arms import Run
    from coloss.study.settings import Record
    from coloss.study.store import Store

    path = folder / "study.sqlite"
    told = {"epochs": 5}
    store = Store(path, told, {"the data": "0a1b"})
    for seed in range(40):
        history = [{"loss": 1.0 / (seed + epoch + 1)} for epoch in range(5)]
        figures = {"accuracy": seed / 40}
        store.add(Record(Run("alone", seed), figures, figures, 1.5, 5, None, history))
    store.close()

    def read() -> None:
        opened = Store(path, told, {"the data": "0a1b"})
        opened.records()
        opened.close()

    files = [path, path.with_name("study.sqlite.sha256")]
    return Kind(files, read, (DamagedFileError,))


def network(folder: Path, *, sealed: bool = True) -> Kind:
    """Return a `.keras` file; as coloss writes it, or as Keras alone does."""
    import keras

    from coloss.joint.saving import archive
    from tests.checkpoint.interrupted import network as made

    path = folder / "a.keras"
    model = made()
    keras.Model.save(model, path)
    if sealed:
        archive.seal(path)

    def read() -> None:
        try:
            archive.check(path)
        except archive.ForeignFileError as error:
            # `load_foreign` puts the name in front.
            raise archive.ForeignFileError(f"'{path}' {error}") from None

    return Kind([path], read, (archive.ForeignFileError,))


KINDS: dict[str, Callable[[Path], Kind]] = {
    "checkpoint": checkpoint,
    "run folder": run,
    "study": study,
    ".keras of coloss": network,
    ".keras of Keras alone": lambda folder: network(folder, sealed=False),
}


def count(what: str, number: int, seed: int) -> int:
    """Return how many of so many flips are found."""
    with tempfile.TemporaryDirectory() as name:
        kind = KINDS[what](Path(name))
        kind.read()
        chance = random.Random(seed)
        return sum(flipped(kind, chance) for _ in range(number))


def main() -> None:
    """Flip, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"`python -m tests.flips --count {given.count} --seed {given.seed}`\n")
    print("| file | bits flipped | found and named | seconds |\n|---|---|---|---|")
    for what in KINDS:
        begun = time.process_time()
        found = count(what, given.count, given.seed)
        seconds = time.process_time() - begun
        print(f"| {what} | {given.count} | {found} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
