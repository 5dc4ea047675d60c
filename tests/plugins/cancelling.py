"""Cancelling a running algorithm, as a user of Workbench does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

#: A second is promised, of computing: machines are busy, and some steps compute on several cores.
_PATIENCE = 3.0


def cancel_after(algorithm: Any, seconds: float, begun: Callable[[], bool] = lambda: True) -> None:
    """Run an algorithm in a thread, cancel it, and see that it ends soon, unfinished.

    It is cancelled after some seconds, but not before it has begun with what ``begun`` looks for.
    """
    done = threading.Event()
    threading.Thread(target=lambda: (_run(algorithm), done.set()), daemon=True).start()
    while not algorithm.isRunning() and not done.is_set():
        time.sleep(0.01)
    assert not done.wait(seconds), "it ended before it could be cancelled"
    while not begun():
        assert not done.wait(0.1), "it ended before it could be cancelled"
    asked = time.process_time()
    algorithm.cancel()
    assert done.wait(120)
    assert time.process_time() - asked < _PATIENCE
    assert not algorithm.isExecuted()


def _run(algorithm: Any) -> None:
    try:
        algorithm.execute()
    except (RuntimeError, KeyboardInterrupt):
        return
