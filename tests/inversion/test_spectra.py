"""Spectra of an inversion as histograms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.spectra import fitted_histogram, reconstructed_histogram
from fcinv_core.networks import load_model
from fcinv_core.shipped import find_model
from fcinv_core.spectrum import unit_spectra


def test_the_fit_lies_on_the_axes_of_the_measurement(inversion: Inversion) -> None:
    histo = fitted_histogram(inversion)
    assert inversion.refined is not None
    np.testing.assert_array_equal(histo.signal, inversion.refined.fitted)
    np.testing.assert_allclose(histo.dimensions[1].edges, inversion.folded.grid.edges)
    np.testing.assert_array_equal(histo.num_events > 0, inversion.refined.covered)
    assert histo.content["runs"] == [7]


def test_a_network_that_makes_no_spectrum_shows_the_mean_over_its_draws(inversion: Inversion) -> None:
    model = load_model(find_model("ge"))
    draws = np.repeat(model.prior.mean[None], 2, axis=0)
    network = inversion.network
    assert network is not None
    answer = replace(network.answer, draws=draws, reconstructed=None)
    asked = replace(inversion, network=replace(network, answer=answer, path=model.qpath, grid=model.grid))
    histo = reconstructed_histogram(asked, model)
    alone = unit_spectra(model.dynamics.energies(draws[:1]), model.grid, model.resolution)[0]
    np.testing.assert_allclose(histo.signal, alone, rtol=1e-5, atol=1e-6)
    assert histo.content["origin"] == "mean over draws"


def test_what_was_not_made_cannot_be_shown(inversion: Inversion) -> None:
    with pytest.raises(InputError, match="there is no fit"):
        fitted_histogram(replace(inversion, refined=None))
    with pytest.raises(InputError, match="there is no reconstruction"):
        reconstructed_histogram(replace(inversion, network=None), load_model(find_model("ge")))
