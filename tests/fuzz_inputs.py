"""What `python -m tests.fuzz` makes of good files, and how each is read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

Case = Callable[[random.Random], None]
TABLES = ("csv", "arff", "parquet", "arrow", "feather", "npy", "npz")


class RefusedError(Exception):
    """What coloss said of an input."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are others, cut, doubled or moved."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4, 16])):
        if not data:
            break
        place, kind = chance.randrange(len(data)), chance.randrange(8)
        if kind < 3:
            data[place] = chance.choice([0, 127, 128, 255, chance.randrange(256)])
        elif kind == 3:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 4:
            width = chance.choice([2, 4, 8])
            number = chance.choice([0, 1, -1, 2 ** (8 * width - 1) - 1])
            data[place : place + width] = number.to_bytes(width, "little", signed=True)
        elif kind == 5:
            data = data[:place]
        elif kind == 6:
            piece = data[place : place + chance.randrange(1, 64)]
            data[place:place] = piece * chance.choice([1, 1, 2, 50])
        else:
            other = chance.randrange(len(data))
            data[place : place + 8] = data[other : other + 8]
    return bytes(data)


PIECES = (
    *("[", "]", "{", "}", '"', "'", "=", ",", ".", "\n", "#", "\\", "\0", "\ufeff"),
    *(
        "[[a]]",
        "true",
        "nan",
        "inf",
        "-0",
        "1e999",
        "9" * 5000,
        "[" * 3000,
        "1979-05-27",
    ),
    *("é", "\U0001f600", "a.b.c", "[members.a]", "[data]", "null", "{}", "-1", "0.5"),
)


def garbled(text: str, chance: random.Random) -> str:
    """Return text in which pieces are left out, doubled, swapped, or others."""
    lines = text.splitlines(keepends=True)
    for _ in range(chance.choice([1, 1, 2, 5])):
        place, kind = chance.randrange(len(lines)), chance.randrange(5)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(chance.randrange(len(lines)), lines[place])
        else:
            line = lines[place]
            at = chance.randrange(len(line) + 1)
            more = chance.choice(PIECES) if kind < 4 else ""
            cut = at + chance.choice([0, 0, 1, 3, 10])
            lines[place] = line[:at] + more + line[cut:]
        if not lines:
            break
    return "".join(lines)


def table(kind: str, folder: Path) -> Case:
    """Return what reads a damaged file of features."""
    from coloss.data.readers import DataError, read_features
    from tests.field.test_a_file_ended_the_process import written

    path = folder / f"a.{kind}"
    content = written(path)

    def case(chance: random.Random) -> None:
        path.write_bytes(damaged(content, chance))
        try:
            read_features(path, id=None if kind == "npy" else "id")
        except DataError as error:
            raise RefusedError(str(error)) from None

    return case


def network(folder: Path) -> Case:
    """Return what checks a damaged network: its bytes, or a part of it packed again."""
    import zipfile

    import keras

    from coloss.joint.saving import archive, foreign
    from coloss.joint.saving.archive import ForeignFileError
    from tests import hostile
    from tests.checkpoint.interrupted import network as made

    path = folder / "a.keras"
    keras.Model.save(made(), path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        config, weights = opened.read("config.json"), opened.read("model.weights.h5")

    def case(chance: random.Random) -> None:
        kind = chance.randrange(8)
        if kind < 4:
            path.write_bytes(damaged(content, chance))
        elif kind < 7:
            text = garbled(config.decode().replace(", ", ",\n"), chance)
            hostile.write(path, text.encode(), weights)
        else:
            hostile.write(path, config, damaged(weights, chance))
        try:
            archive.check(path)
            found = foreign._config(path)
            # A process for each damaged file of weights takes most of the time.
            size = foreign._weights(path) if kind == 7 else len(weights)
            foreign._check_size(found, size)
        except ForeignFileError as error:
            raise RefusedError(str(error)) from None

    return case


def configuration(folder: Path) -> Case:
    """Return what reads a garbled configuration."""
    from coloss.cli.config import load
    from coloss.cli.errors import CliError
    from tests.cli.mistakes import CONFIG

    path = folder / "config.toml"

    def case(chance: random.Random) -> None:
        path.write_bytes(garbled(CONFIG, chance).encode("utf-8", "replace"))
        try:
            load(path)
        except CliError as error:
            for message in error.messages:
                if "\n" in message and "^" not in message:
                    raise AssertionError(message) from None
            raise RefusedError("told") from None

    return case


def facts(folder: Path) -> Case:
    """Return what reads the JSON of a foreign run, whose checksums are right."""
    from coloss.checksum import DamagedFileError
    from coloss.run_folder import RunFolder

    run = RunFolder(folder / "run")
    run.write_config({"data": {"labels": "a.csv"}})
    run.write_json("environment.json", {"status": "finished", "versions": {"a": "1"}})
    path = run.path / "environment.json"
    text = path.read_text()

    def case(chance: random.Random) -> None:
        path.write_bytes(garbled(text, chance).encode("utf-8", "replace"))
        run.owned.finished("environment.json")
        try:
            _ = RunFolder.opened(run.path).environment
        except DamagedFileError as error:
            raise RefusedError(str(error)) from None

    return case


def study(folder: Path) -> Case:
    """Return what reads a damaged study, without the checksum of the file."""
    from coloss.checksum import DamagedFileError
    from coloss.study.store import Store
    from tests.flips import study as made

    path = made(folder).files[0]
    content = path.read_bytes()
    path.with_name("study.sqlite.sha256").unlink()

    def case(chance: random.Random) -> None:
        path.write_bytes(damaged(content, chance))
        path.with_name("study.sqlite-journal").unlink(missing_ok=True)
        path.with_name("study.sqlite.sha256").unlink(missing_ok=True)
        try:
            opened = Store(path, {"epochs": 5}, {"the data": "0a1b"})
            try:
                opened.records()
            finally:
                opened.close()
        except (DamagedFileError, ValueError) as error:
            raise RefusedError(str(error)) from None

    return case


WORDS = (
    *(
        "a",
        "b",
        "c",
        "w",
        "v",
        "a.hidden",
        'b["x/y"]',
        "2",
        "0.5",
        "1e-3",
        "0",
        "1e999",
    ),
    *(
        "+",
        "-",
        "*",
        "/",
        "**",
        ">>",
        "(",
        ")",
        ",",
        " ",
        "exp(",
        "log(",
        "relu(",
        "max(",
    ),
    *("distill(", "a >> b", "stop(", "gate=", '"network"', "hint(", "temperature=2"),
    *(
        "consensus(",
        "coteach(",
        "prototypes(",
        "mutual(",
        "(a, b) >> c",
        "is",
        "lambda",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "\0",
        "é",
        "9" * 400,
        "not",
        "'",
        "#",
        "\\",
        "\n",
        "=",
        ":",
        "@",
    ),
)
FORMS = (
    "{0} + {1}*({2} - {0})",
    "{0}*{1}*{2}",
    "exp({0} - {1}) + {2}",
    "{0} + w*distill({1} >> {2})",
    "max({0}, {1}) / {2}",
    "log(1 + {0}) - v*{1}**2 + {2}",
    "({0})*({1} - {2})",
    "stop({0})*{1} + {2}",
)


def objective(folder: Path) -> Case:
    """Return what reads, binds and explains a random objective."""
    from coloss.objective import Objective, ObjectiveError

    def made(chance: random.Random) -> str:
        if chance.random() < 0.5:
            return "".join(chance.choices(WORDS, k=chance.choice([1, 3, 6, 12, 40])))
        text = chance.choice("abc")
        for _ in range(chance.choice([1, 2, 3, 6])):
            parts = [text, chance.choice("abc"), chance.choice("abcwv")]
            chance.shuffle(parts)
            text = chance.choice(FORMS).format(*parts)
        if chance.random() < 0.3:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(WORDS) + text[at + 1 :]
        return text

    def case(chance: random.Random) -> None:
        try:
            found = Objective(made(chance))
            found.bind(["a", "b", "c"], ["w", "v"])
            told = found.explain(members=["a", "b", "c"], coefficients={"w": 0.5})
            str(told), found.latex(), str(found)
        except ObjectiveError as error:
            raise RefusedError(str(error).splitlines()[0]) from None

    return case


KINDS: dict[str, Callable[[Path], Case]] = {
    **{kind: lambda folder, kind=kind: table(kind, folder) for kind in TABLES},
    "keras": network,
    "toml": configuration,
    "json": facts,
    "study": study,
    "objective": objective,
}
