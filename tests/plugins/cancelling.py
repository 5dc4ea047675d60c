"""Cancelling a running algorithm, as a user of Workbench does."""

from __future__ import annotations

import threading
import time
from typing import Any

#: A second is promised; tests run on busy machines.
_PATIENCE = 3.0


def cancel_after(algorithm: Any, seconds: float) -> None:
    """Run an algorithm in a thread, cancel it after some seconds, and see that it ends soon, unfinished."""
    done = threading.Event()
    threading.Thread(target=lambda: (_run(algorithm), done.set()), daemon=True).start()
    while not algorithm.isRunning() and not done.is_set():
        time.sleep(0.01)
    assert not done.wait(seconds), "it ended before it could be cancelled"
    asked = time.monotonic()
    algorithm.cancel()
    assert done.wait(30)
    assert time.monotonic() - asked < _PATIENCE
    assert not algorithm.isExecuted()


def _run(algorithm: Any) -> None:
    try:
        algorithm.execute()
    except (RuntimeError, KeyboardInterrupt):
        return
