"""Progress bars of long work move on and stay in their part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fcinv_core.mantid_adapter.progress_bars import Epochs, Steps


class Recorded:
    """What a Progress of Mantid was told."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.texts: list[str] = []

    def report(self, place: int, text: str) -> None:
        self.places.append(place)
        self.texts.append(text)


@given(typical=st.integers(1, 500), n=st.integers(1, 1000))
def test_steps_move_on_and_never_pass_the_end(typical: int, n: int) -> None:
    told = Recorded()
    steps = Steps(told, 100, 900, typical)
    steps.begin("one")
    for _ in range(n):
        steps.step()
    steps.begin("other")
    assert told.places == sorted(told.places)
    assert told.places[0] == 100
    assert told.places[-1] == 100 + 800 * n // (n + typical) < 900
    assert told.texts == ["one"] * (n + 1) + ["other"]


@given(count=st.integers(1, 20), batches=st.integers(1, 30), more=st.integers(0, 2))
def test_epochs_fill_their_part_and_no_more(count: int, batches: int, more: int) -> None:
    told = Recorded()
    epochs = Epochs(told, 20, 900, count)
    epochs.step()
    for _ in range(count + more):
        for k in range(batches):
            epochs.show(k + 1, batches)
        epochs.begin("next")
    assert told.places == sorted(told.places)
    assert (told.places[0], told.places[-1]) == (20, 900)
