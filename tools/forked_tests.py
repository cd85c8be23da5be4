"""The runs of `tools.mutate`: tests under a trace, and in a fork of this process."""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tools.faults import ROOT, Fault


@dataclass
class Trace:
    """What a run of the tests without a fault executed."""

    lines: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    """By test, the lines of the target: file and number."""
    imported: set[tuple[str, int]] = field(default_factory=set)
    """The lines that ran while the tests were collected."""
    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    modules: list[str] = field(default_factory=list)
    """What the tests imported that is not ours, in its order."""


@dataclass
class Tracer:
    """Plugin of pytest that fills a `Trace`."""

    target: str
    """Path of the file or folder whose lines are noted."""
    trace: Trace = field(default_factory=Trace)
    current: set[tuple[str, int]] = field(default_factory=set)

    def _lines(self, frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        if event == "line":
            self.current.add((frame.f_code.co_filename, frame.f_lineno))
        return self._lines

    def _calls(self, frame: FrameType, *_: object) -> Callable[..., Any] | None:
        # Called for every call of a function anywhere: it must be quick.
        ours = frame.f_code.co_filename.startswith(self.target)
        return self._lines if ours else None

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        """Note the lines that run at import."""
        self.current = self.trace.imported
        sys.settrace(self._calls)
        yield
        sys.settrace(None)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note the lines that one test executes, and its time."""
        self.current = self.trace.lines.setdefault(item.nodeid, set())
        start = time.perf_counter()
        sys.settrace(self._calls)
        yield
        sys.settrace(None)
        self.trace.seconds[item.nodeid] = time.perf_counter() - start

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what fails without any fault: it cannot tell one."""
        if report.failed:
            self.trace.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Note what was imported from where packages are installed."""
        self.trace.modules = [
            name
            for name, module in list(sys.modules.items())
            if "site-packages" in (getattr(module, "__file__", None) or "")
        ]


@dataclass
class Order:
    """Plugin of pytest that runs the chosen tests in the given order."""

    chosen: list[str]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the chosen ones only, in their order."""
        place = {name: number for number, name in enumerate(self.chosen)}
        kept = [item for item in items if item.nodeid in place]
        items[:] = sorted(kept, key=lambda item: place[item.nodeid])


def in_child(work: Callable[[], int], limit: float, output: Path) -> int | None:
    """Run work in a fork of this process; return its status, None past the limit."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        # JAX warns of a fork; it has started nothing yet.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            with output.open("w") as sink:
                os.dup2(sink.fileno(), 1)
                os.dup2(sink.fileno(), 2)
                status = int(work())
                sys.stdout.flush()
        finally:
            os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def run_pytest(tests: list[str], *plugins: object) -> int:
    """Run tests in this process, quietly and until one fails."""
    words = ["-q", "--assert=plain", "-p", "no:cacheprovider", "--tb=line"]
    if not any(isinstance(plugin, Tracer) for plugin in plugins):
        words.append("-x")
    return pytest.main([*words, *tests], plugins=list(plugins))


def traced(target: str, tests: list[str], folder: Path) -> Trace:
    """Run the tests once without a fault; return what they execute."""
    kept = folder / "trace.pickle"

    def work() -> int:
        tracer = Tracer(str(ROOT / target))
        status = run_pytest(tests, tracer)
        kept.write_bytes(pickle.dumps(tracer.trace))
        return status

    in_child(work, 3600.0, folder / "output.txt")
    if not kept.exists():
        sys.exit((folder / "output.txt").read_text())
    return pickle.loads(kept.read_bytes())


def preload(modules: list[str]) -> None:
    """Import what the tests import and is not ours, once for all children."""
    with warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        for name in modules:
            # Some can be imported by their own package only; the child does it.
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def statement_at(path: str, line: int) -> tuple[range, bool]:
    """Return the lines of the innermost statement's head, and if a function has it."""
    lines, inside = range(line, line + 1), False

    def visit(node: ast.AST, within: bool) -> None:
        nonlocal lines, inside
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                if not child.lineno <= line <= (child.end_lineno or child.lineno):
                    continue
                body = getattr(child, "body", None)
                end = body[0].lineno if body else (child.end_lineno or line) + 1
                # On one line, as in `if x: return`, head and body are the same.
                lines, inside = range(child.lineno, max(end, child.lineno + 1)), within
            visit(child, within or isinstance(child, ast.FunctionDef))

    visit(ast.parse((ROOT / path).read_text("utf-8")), within=False)
    return lines, inside


def telling(fault: Fault, trace: Trace) -> list[str]:
    """Return the tests that may notice a fault, those first that are likeliest to."""
    lines, inside = statement_at(fault.path, fault.line)
    file = str(ROOT / fault.path)
    ranks: dict[str, int] = {}
    for name, seen in trace.lines.items():
        mine = {line for path, line in seen if path == file}
        if name in trace.failed:
            continue
        if fault.line in mine:
            ranks[name] = 0
        elif not mine.isdisjoint(lines):
            ranks[name] = 1
        else:
            ranks[name] = 2 if mine else 3
    if inside and (file, fault.line) not in trace.imported:
        # Otherwise it ran at import, and concerns every test.
        reached = min(ranks.values(), default=3) < 2
        ranks = {name: rank for name, rank in ranks.items() if reached and rank < 3}
    return sorted(ranks, key=lambda name: (ranks[name], trace.seconds[name]))
