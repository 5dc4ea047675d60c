"""The report of an inversion: verdict first, then what was measured, what was found, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import numpy as np

from fcinv_core.derived.bands import Band
from fcinv_core.inversion.content import PHONOPY, POSTERIOR, RESULT, force_constant_rows
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.per_run import PerRun
from fcinv_core.refinement.refined import Nuisance
from fcinv_core.report import figures
from fcinv_core.report.page import (
    bar,
    bullets,
    code,
    columns,
    facts,
    folded,
    heading,
    numbers,
    page,
    paragraph,
    picture,
    table,
    verdict,
)
from fcinv_core.report.per_run_section import per_run_section

#: Force constants that are listed openly; the others open on a click.
_LISTED = 16


def report(inversion: Inversion, between: Callable[[], None] = lambda: None, per_run: PerRun | None = None) -> str:
    """Return the report of an inversion as one HTML document, pictures inside.

    Parameters
    ----------
    inversion
        What to report.
    between
        Called between two parts; what it raises ends it.
    per_run
        What each run says alone, if that was asked for.
    """
    crystal = inversion.crystal
    title = f"Force constants of {crystal.formula}"
    parts = [
        heading(title, 1),
        paragraph(f"{crystal.describe()}; {len(inversion.folded.runs)} runs", "lead"),
        verdict(inversion.headline, inversion.status, inversion.findings),
        _key_numbers(inversion),
    ]
    for part in (_spectra, _force_constants, _derived, _fit):
        between()
        parts += part(inversion)
    if per_run is not None:
        parts += per_run_section(per_run, inversion.prior.labels)
    parts += _basis(inversion)
    return page(title, parts)


def _key_numbers(inversion: Inversion) -> str:
    derived = inversion.derived
    decided = inversion.decided_by
    entries = [
        (f"±{_number(np.median(derived.energies.sigma), 2)}", "meV", "dispersion, median 68 % half-width"),
        (f"{decided.count('data')} of {len(decided)}", "", "force constants decided by the data"),
        (
            _number(derived.debye_elastic.value, 0),
            f"± {_number(derived.debye_elastic.sigma, 0)} K",
            "Debye temperature from the sound velocities",
        ),
    ]
    entries += [
        (_number(value, 0), f"± {_number(sigma, 0)} GPa", name)
        for name, value, sigma in zip(
            derived.elastic_names[:3], derived.elastic.value, derived.elastic.sigma, strict=False
        )
    ]
    return numbers(entries)


def _spectra(inversion: Inversion) -> list[str]:
    what = ["Measured I(q, E) along the path; grey was not covered or left out as elastic."]
    if inversion.network is not None and inversion.network.answer.reconstructed is not None:
        what.append("What the network makes of it again from its latent variables.")
    if inversion.refined is not None:
        what.append("The fit, with every mode's amplitude as the data ask for.")
    what.append("Colour is the square root of the intensity; white: the inverted dispersion with its 95 % band.")
    return [
        heading("Spectra"),
        picture(figures.spectra(inversion), " ".join(what), "maps of measured and fitted intensity"),
        heading("Dispersion"),
        picture(
            figures.dispersion(inversion),
            "The inverted dispersion with its 68 % and 95 % bands from posterior draws; grey are the force fields "
            "that the prior is made of.",
            "dispersion along the path with uncertainty bands",
        ),
    ]


def _force_constants(inversion: Inversion) -> list[str]:
    rows = force_constant_rows(inversion)
    header = ("", "bond and component", "length", "value", "σ", "prior", "prior σ", "decided by", "by the data")
    kinds = ("soft", "", "right", "right", "right", "right soft", "right soft", "", "")
    cells = [
        (
            f"FC{row['index']}",
            escape(row["label"]),
            f"{row['distance_angstrom']:.3f}",
            f"{row['value']:.4f}",
            f"{row['sigma']:.4f}",
            f"{row['prior_mean']:.4f}",
            f"{row['prior_sigma']:.4f}",
            row["decided_by"],
            bar(row["decided_by_data"]),
        )
        for row in rows
    ]
    parts = [
        heading("Force constants"),
        paragraph(
            "In eV/Å²; lengths in Å; bonds in fractions of the conventional axes, components in the Cartesian "
            "frame with a along x and b in the xy plane. σ is the standard deviation of each alone: most are "
            f"strongly correlated, and {POSTERIOR} holds the covariance."
        ),
        table(header, cells[:_LISTED], kinds),
    ]
    if len(cells) > _LISTED:
        parts.append(folded(f"{len(cells) - _LISTED} more", table(header, cells[_LISTED:], kinds)))
    parts.append(
        picture(
            figures.force_constants(inversion),
            "Left: the answer and its standard deviation, in standard deviations of the prior, zero being the mean "
            "of the force fields; dotted at three. Right: how much of the prior's variance the data removed. Where "
            "that is little, the value is the prior's.",
            "force constants against their prior",
        )
    )
    return parts


def _derived(inversion: Inversion) -> list[str]:
    derived, crystal = inversion.derived, inversion.crystal
    elastic = table(
        ("elastic constants", "GPa", "σ"),
        [
            (name, _number(value, 1), _number(sigma, 1))
            for name, value, sigma in zip(
                derived.elastic_names, derived.elastic.value, derived.elastic.sigma, strict=True
            )
        ],
        ("", "right", "right"),
    )
    sound = table(
        ("sound velocities", "slow", "", "fast", "σ, m/s"),
        [
            (escape(name), *(_number(v, 0) for v in values), " ".join(_number(s, 0) for s in sigmas))
            for name, values, sigmas in zip(
                derived.sound_directions, derived.sound.value, derived.sound.sigma, strict=True
            )
        ],
        ("", "right", "right", "right", "right soft"),
    )
    thermal = table(
        ("thermal", "", "σ"),
        [
            _row("Debye temperature from sound velocities, K", derived.debye_elastic),
            _row("Debye temperature from the second moment, K", derived.debye_second_moment),
            *(
                (f"⟨u²⟩ of {escape(name)} at {derived.temperature:g} K, Å²", _number(value, 5), _number(sigma, 5))
                for name, value, sigma in zip(
                    crystal.site_names, derived.displacements.value, derived.displacements.sigma, strict=True
                )
            ),
        ],
        ("", "right", "right"),
    )
    return [
        heading("What follows"),
        columns(elastic + sound, thermal),
        picture(
            figures.thermodynamics(inversion),
            f"Density of states per primitive cell, Gaussian broadening of {derived.dos_fwhm:.2g} meV FWHM, "
            f"integral {3 * crystal.n_sites}; heat capacity at constant volume per mole of {crystal.formula}. "
            f"Bands: 68 % and 95 % of {derived.n_draws} draws.",
            "density of states and heat capacity",
        ),
    ]


def _row(name: str, of: Band) -> tuple[str, str, str]:
    return name, _number(of.value, 1), _number(of.sigma, 1)


def _fit(inversion: Inversion) -> list[str]:
    parts = [heading("Fit and coverage")]
    refined = inversion.refined
    if refined is not None:
        mean, deviation = refined.expected_chi2
        parts.append(
            picture(
                figures.residuals(inversion),
                f"Residuals in standard deviations of the model, and their mean square at each energy. chi2 is "
                f"{refined.chi2:.0f} over {refined.n_data} cells; {mean:.0f} ± {deviation:.0f} is expected of "
                f"{refined.scatter}.",
                "residuals of the fit",
            )
        )
        parts.append(
            table(
                ("fitted along with the force constants", "value", "σ", "unit"),
                [_nuisance(name, one) for name, one in refined.nuisance.items()],
                ("", "right", "right", "soft"),
            )
        )
    caption = "What each cell along the path was exposed to, and what was counted in it."
    parts.append(picture(figures.coverage(inversion), caption, "maps of exposure and counts"))
    return parts


def _basis(inversion: Inversion) -> list[str]:
    provenance = {name: _plain(value) for name, value in inversion.provenance.items()}
    return [
        heading("What was assumed"),
        bullets(inversion.assumptions),
        heading("Where it comes from"),
        facts(provenance),
        heading("How to go on", 3),
        paragraph(
            f"Beside this page lie {RESULT} (all numbers), {POSTERIOR} (covariance, draws, spectra, bands) and "
            f"{PHONOPY}, which phonopy loads as it is:"
        ),
        code(f'import phonopy\nphonon = phonopy.load("{PHONOPY}")\nphonon.auto_band_structure(plot=True)'),
    ]


def _nuisance(name: str, one: Nuisance) -> tuple[str, str, str, str]:
    """A row of the table of nuisance parameters; logarithms are shown as the factors that they are of."""
    plain = name.replace("_", " ")
    if not plain.startswith("log "):
        return escape(plain), f"{one.value:.4g}", f"{one.sigma:.2g}", escape(one.unit)
    factor = float(np.exp(one.value))
    return escape(plain.removeprefix("log ")), f"{factor:.4g}", f"{factor * one.sigma:.2g}", "factor"


def _number(value: object, digits: int) -> str:
    """Write a number with so many digits; a dash where there is none, as of a crystal that is not stable."""
    number = float(np.asarray(value, dtype=float))
    return f"{number:.{digits}f}" if np.isfinite(number) else "–"


def _plain(value: object) -> str:
    """Write plain content, nested as it may be, as one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
