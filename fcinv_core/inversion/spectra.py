"""Spectra of an inversion as histograms: what the refinement fitted, and what the network takes the data for."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

import fcinv_core
from fcinv_core.errors import InputError
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.nexus import MDHisto, energy_dimension, path_dimension
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

if TYPE_CHECKING:
    from fcinv_core.crystal import FloatArray
    from fcinv_core.networks.model import Model


def fitted_histogram(inversion: Inversion) -> MDHisto:
    """Return the intensity of the fit over the axes of the measurement, in its unit; NaN where nothing was fitted.

    Raises
    ------
    InputError
        If nothing was refined.
    """
    refined, folded = inversion.along_path, inversion.folded
    if refined is None:
        raise InputError("there is no fit", "the method is that of the network alone", "choose refine or fit")
    content = {
        "kind": "fitted spectrum",
        "signal": "intensity of the fit, in the unit of the measurement",
        "amplitudes": refined.model,
        "runs": [run.number for run in folded.runs],
        "kikf_applied": folded.kikf_applied,
        "bose_applied": folded.bose_applied,
    }
    return _histogram(inversion, np.asarray(refined.fitted), inversion.path, folded.grid, content)


def reconstructed_histogram(inversion: Inversion, model: Model) -> MDHisto:
    """Return the clean spectrum that a network takes the measurement for, over the model's own axes.

    It is what the network itself reconstructs or, of an architecture that makes no spectrum, the mean over draws of
    its answer. Every mode weighs the same; one line alone has height 1.

    Parameters
    ----------
    inversion
        What was found.
    model
        The model that it was found with.

    Raises
    ------
    InputError
        If no network was asked.
    """
    from fcinv_core.networks.misfit import supposed_lines

    network = inversion.network
    if network is None:
        raise InputError("there is no reconstruction", "the method asks no network", "choose refine or network")
    made = network.answer.reconstructed
    spectrum = (
        supposed_lines(network.answer.draws, model.dynamics, model.grid, model.resolution) if made is None else made
    )
    content = {
        "kind": "reconstructed spectrum",
        "signal": "height relative to one line alone, every mode weighs 1",
        "origin": "mean over draws" if made is None else "the network's own",
        "resolution_fwhm_mev": list(model.resolution.fwhm_coefficients),
    }
    return _histogram(inversion, np.asarray(spectrum, dtype=float), network.path, network.grid, content)


def _histogram(
    inversion: Inversion, signal: FloatArray, path: QPath, grid: SpectralGrid, content: dict[str, Any]
) -> MDHisto:
    """A histogram over (path point, energy) without errors."""
    return MDHisto(
        signal=signal,
        error_squared=np.zeros_like(signal),
        num_events=np.isfinite(signal).astype(float),
        dimensions=(path_dimension(path.n_points), energy_dimension(grid.edges)),
        logs={"run_title": f"{content['kind']} of {inversion.crystal.formula}"},
        content={
            **content,
            "path": path.to_dict(),
            "grid_mev": asdict(grid),
            "method": inversion.method,
            "version": fcinv_core.__version__,
        },
    )
