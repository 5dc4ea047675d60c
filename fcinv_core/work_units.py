"""Independent units of work, done in this process or spread over a Dask cluster, with results in order."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from fcinv_core.errors import InputError

Unit = TypeVar("Unit")
Result = TypeVar("Result")
#: map_units(function, shared, units) -> results in the order of the units; ``function(shared, unit)``.
MapUnits = Callable[[Callable[[Any, Any], Any], Any, Iterable[Any]], Iterator[Any]]

#: Units under way for each worker of a cluster: enough to keep it busy, few enough to keep memory flat.
_UNITS_PER_WORKER = 4
#: How long a scheduler may take to answer.
_CONNECT_SECONDS = 10


def map_in_process(function: Callable[[Any, Unit], Result], shared: Any, units: Iterable[Unit]) -> Iterator[Result]:
    """Do the units one after the other in this process."""
    for unit in units:
        yield function(shared, unit)


@contextlib.contextmanager
def unit_map(address: str | None) -> Iterator[MapUnits]:
    """Yield the function that maps units: in this process, or over the Dask cluster at ``address``.

    Results come in the order of the units wherever they are done. Closing the iterator early cancels what is
    still waiting.

    Raises
    ------
    InputError
        If the cluster cannot be reached or Dask is not installed.
    """
    if address is None:
        yield map_in_process
        return
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"the cluster {address} cannot be used", "Dask is not installed", "run `pip install distributed`"
        ) from error
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address}", str(error) or type(error).__name__, "check the address"
        ) from error
    with client:

        def map_on_cluster(function: Callable[[Any, Any], Any], shared: Any, units: Iterable[Any]) -> Iterator[Any]:
            [scattered] = client.scatter([shared], broadcast=True, hash=False)
            n_under_way = _UNITS_PER_WORKER * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            waiting = iter(units)
            under_way = collections.deque(
                client.submit(function, scattered, unit, pure=False)
                for unit in itertools.islice(waiting, n_under_way)
            )
            try:
                while under_way:
                    result = under_way.popleft().result()
                    under_way.extend(
                        client.submit(function, scattered, unit, pure=False)
                        for unit in itertools.islice(waiting, 1)
                    )
                    yield result
            finally:
                for future in under_way:
                    future.cancel()

        yield map_on_cluster
