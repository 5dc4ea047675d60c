"""Progress and cancelling."""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import Any

import pytest

from tests.contract.algorithms import created, nothing, register


def _reports_until_cancelled(self: Any) -> None:
    from mantid.api import Progress

    progress = Progress(self, 0.0, 1.0, 1000)
    for _ in range(1000):
        time.sleep(0.01)
        try:
            progress.report("working")
        except Exception:  # an interruption is none
            continue


def test_report_after_a_cancel_raises_keyboard_interrupt_through_except_exception(simpleapi: ModuleType) -> None:
    register("ContractCancelled", nothing, _reports_until_cancelled)
    algorithm = created("ContractCancelled")
    timer = threading.Timer(0.2, algorithm.cancel)
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        algorithm.execute()
    timer.join()
    assert time.perf_counter() - start < 2
    assert not algorithm.isExecuted()
    assert not algorithm.isRunning()


def test_outputs_of_a_cancelled_algorithm_are_not_stored(simpleapi: ModuleType) -> None:
    from mantid import api, kernel

    def declare(self: Any) -> None:
        self.declareProperty(
            api.ITableWorkspaceProperty("OutputWorkspace", "", kernel.Direction.Output), "A table."
        )

    def execute(self: Any) -> None:
        self.setProperty("OutputWorkspace", api.WorkspaceFactory.createTable())
        _reports_until_cancelled(self)

    register("ContractCancelledOutput", declare, execute)
    algorithm = created("ContractCancelledOutput", OutputWorkspace="partial")
    timer = threading.Timer(0.1, algorithm.cancel)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        algorithm.execute()
    timer.join()
    assert "partial" not in simpleapi.mtd


def test_algorithm_that_never_reports_runs_to_its_end(simpleapi: ModuleType) -> None:
    ends = []

    def execute(self: Any) -> None:
        self.cancel()
        ends.append(True)

    register("ContractSilent", nothing, execute)
    algorithm = created("ContractSilent")
    with pytest.raises(KeyboardInterrupt):
        algorithm.execute()
    assert ends == [True]
    assert not algorithm.isExecuted()


def test_forms_of_a_report(simpleapi: ModuleType) -> None:
    from mantid.api import Progress

    def execute(self: Any) -> None:
        progress = Progress(self, start=0.0, end=0.5, nreports=4)
        progress.report()
        progress.report("message")
        progress.report(3, "message")
        progress.reportIncrement(1, "message")
        progress.resetNumSteps(2, 0.5, 1.0)
        progress.report("message")

    register("ContractReports", nothing, execute)
    assert created("ContractReports").execute()


def test_asynchronous_algorithm_ends(simpleapi: ModuleType) -> None:
    ended = threading.Event()
    register("ContractAsynchronous", nothing, lambda self: ended.set())
    assert created("ContractAsynchronous").executeAsync() is None
    assert ended.wait(10)


def test_observer_sees_how_far_an_algorithm_is_and_how_it_ends(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmObserver, Progress

    class Watcher(AlgorithmObserver):
        def __init__(self) -> None:
            super().__init__()
            self.reports: list[tuple[float, str]] = []
            self.ends: list[str] = []

        def progressHandle(self, fraction: float, message: str) -> None:
            self.reports.append((fraction, message))

        def finishHandle(self) -> None:
            self.ends.append("finished")

        def errorHandle(self, message: str) -> None:
            self.ends.append(message)

    def execute(self: Any) -> None:
        progress = Progress(self, 0.0, 1.0, 4)
        for step in range(4):
            progress.report(f"step {step}")

    register("ContractWatched", nothing, execute)
    algorithm, watcher = created("ContractWatched"), Watcher()
    watcher.observeProgress(algorithm)
    watcher.observeFinish(algorithm)
    algorithm.execute()
    fractions = [fraction for fraction, message in watcher.reports if message.startswith("step")]
    assert fractions == sorted(fractions)
    assert fractions
    assert 0 < fractions[-1] <= 1
    assert watcher.ends == ["finished"]
