"""What the result of an inversion says, as plain content for JSON and for tables."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import fcinv_core
from fcinv_core.derived.bands import Band
from fcinv_core.derived.thermodynamics import formula_units
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.judgement import covered_share, explained_share

#: Mark and version of result.json and posterior.h5.
FORMAT, SCHEMA = "fcinv result", 1
#: Names of the files of a result.
RESULT, POSTERIOR, PHONOPY, REPORT = "result.json", "posterior.h5", "phonopy_params.yaml", "report.html"


def result_content(inversion: Inversion) -> dict[str, Any]:
    """Return the content of result.json: plain types, units in the keys."""
    crystal, refined, network = inversion.crystal, inversion.refined, inversion.network
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "verdict": {
            "status": inversion.status.value,
            "sentence": inversion.headline,
            "findings": [
                {"name": one.name, "status": one.status.value, "sentence": one.sentence, **one.numbers}
                for one in inversion.findings
            ],
        },
        "crystal": {
            "description": crystal.describe(),
            "formula": crystal.formula,
            "lattice_angstrom": crystal.lattice.tolist(),
            "positions": crystal.positions.tolist(),
            "symbols": list(crystal.symbols),
            "masses_amu": crystal.masses.tolist(),
            "strain_from_prior": inversion.strain,
        },
        "method": inversion.method,
        "amplitudes": None if refined is None else refined.model,
        "force_constants": force_constant_rows(inversion),
        "network": None
        if network is None
        else {
            "force_constants": [
                {"index": k, "value": value, "sigma": sigma, "retained": bool(k in network.answer.retained)}
                for k, (value, sigma) in enumerate(
                    zip(network.values.tolist(), network.sigma.tolist(), strict=True)
                )
            ],
            "out_of_range": [int(k) for k in network.answer.out_of_range],
            "flags": list(network.answer.flags),
        },
        "fit": None
        if refined is None
        else {
            "chi2": refined.chi2,
            "expected_chi2": refined.expected_chi2[0],
            "expected_chi2_sigma": refined.expected_chi2[1],
            "per_look": refined.per_look,
            "explained_share": explained_share(inversion),
            "deviance": refined.deviance,
            "cells": refined.n_data,
            "effective_parameters": refined.n_parameters,
            "overdispersion": refined.overdispersion,
            "effective_sample_size": refined.effective_sample_size,
            "nuisance": {
                name: {"value": one.value, "sigma": one.sigma, "unit": one.unit}
                for name, one in refined.nuisance.items()
            },
        },
        "coverage": {
            "runs": [run.number for run in inversion.folded.runs],
            "covered_share": covered_share(inversion),
            "counts": float(inversion.intensity.counts.sum()),
        },
        "derived": derived_content(inversion),
        "assumptions": list(inversion.assumptions),
        "provenance": {
            **inversion.provenance,
            "versions": {
                "fcinv": fcinv_core.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "scipy", "phonopy", "torch")},
            },
        },
    }


def force_constant_rows(inversion: Inversion) -> list[dict[str, Any]]:
    """Return the table of force constants, FC0 first: label, value, sigma, prior, and who decided it."""
    prior = inversion.prior
    rows = []
    for k, parameter in enumerate(prior.order):
        element = prior.parametrisation.elements[parameter]
        rows.append(
            {
                "index": k,
                "label": element.label,
                "shell": element.shell,
                "distance_angstrom": element.distance,
                "element": element.component,
                "value": float(inversion.values[k]),
                "sigma": float(inversion.sigma[k]),
                "unit": "eV/Å²",
                "prior_mean": float(prior.mean[k]),
                "prior_sigma": float(prior.sigma[k]),
                "prior_lower": float(prior.lower[k]),
                "prior_upper": float(prior.upper[k]),
                "decided_by": inversion.decided_by[k],
                "decided_by_data": float(inversion.decided_share[k]),
                "from_prior_in_sigma": float(inversion.conflict[k]),
            }
        )
    return rows


def derived_content(inversion: Inversion) -> dict[str, Any]:
    """Return the derived quantities as plain content: each with value, sigma and both intervals."""
    derived, crystal = inversion.derived, inversion.crystal

    def named(names: tuple[str, ...], of: Band, unit: str) -> dict[str, Any]:
        return {name: {**_interval(of, k), "unit": unit} for k, name in enumerate(names)}

    return {
        "draws": derived.n_draws,
        "imaginary_share": derived.imaginary_share,
        "elastic_constants": named(derived.elastic_names, derived.elastic, "GPa"),
        "elastic_misfit": derived.elastic_misfit,
        "sound_velocities": {
            f"{name} {k + 1}": {**_interval(derived.sound, (i, k)), "unit": "m/s"}
            for i, name in enumerate(derived.sound_directions)
            for k in range(3)
        },
        "debye_temperature_from_sound_velocities": {**_interval(derived.debye_elastic, ()), "unit": "K"},
        "debye_temperature_from_second_moment": {**_interval(derived.debye_second_moment, ()), "unit": "K"},
        "mean_square_displacement": {
            "temperature_kelvin": derived.temperature,
            **named(crystal.site_names, derived.displacements, "Å²"),
        },
        "heat_capacity": {
            "per": f"mole of {crystal.formula}, {formula_units(crystal)} in the primitive cell",
            "unit": "J/(mol K)",
            "temperature_kelvin": derived.temperatures.tolist(),
            "value": derived.heat_capacity.value.tolist(),
            "sigma": derived.heat_capacity.sigma.tolist(),
        },
        "density_of_states": {
            "unit": "modes per meV and primitive cell",
            "gaussian_fwhm_mev": derived.dos_fwhm,
            "energy_mev": derived.dos_grid.centres.tolist(),
            "value": derived.dos.value.tolist(),
            "sigma": derived.dos.sigma.tolist(),
        },
    }


def _interval(of: Band, at: Any) -> dict[str, Any]:
    return {
        "value": float(of.value[at]),
        "sigma": float(of.sigma[at]),
        "interval68": [float(of.lower68[at]), float(of.upper68[at])],
        "interval95": [float(of.lower95[at]), float(of.upper95[at])],
    }
