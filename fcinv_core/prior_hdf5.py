"""A prior in an HDF5 group: what a training set, a model and a result carry of the ensemble."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import h5py
import numpy as np

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import Bonds
from fcinv_core.force_constants.non_analytic import NonAnalyticTerm
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.prior import Member, Prior
from fcinv_core.stability import Stability


def write_prior(group: h5py.Group, prior: Prior) -> None:
    """Write a prior into an empty group; arrays keep their units (Å, amu, eV/Å²)."""
    crystal = prior.crystal
    cell = group.create_group("crystal")
    cell["lattice"], cell["positions"], cell["masses"] = crystal.lattice, crystal.positions, crystal.masses
    cell["symbols"] = list(crystal.symbols)
    cell.attrs["description"] = crystal.describe()

    bonds = prior.parametrisation.bonds
    table = group.create_group("bonds")
    for name in ("operations", "first", "second", "cells", "bond"):
        table.create_dataset(name, data=getattr(bonds, name), compression="gzip")

    group["labels"] = list(prior.labels)
    for name in ("order", "mean", "sigma", "lower", "upper"):
        group[name] = getattr(prior, name)

    reference = group.create_group("reference")
    reference["supercell"] = prior.reference.supercell
    reference.attrs["source"] = prior.reference.source
    term = prior.reference.non_analytic
    if term is not None:
        polar = reference.create_group("non_analytic")
        polar["born"], polar["dielectric"], polar["supercell"] = term.born, term.dielectric, term.supercell
        polar.attrs["factor"], polar.attrs["method"] = term.factor, term.method
        for name in ("cutoff", "smearing"):
            if getattr(term, name) is not None:
                polar.attrs[name] = getattr(term, name)

    members = group.create_group("members")
    for number, member in enumerate(prior.members):
        entry = members.create_group(f"{number:03d}")
        entry["values"] = member.values
        entry.attrs["name"] = member.name
        entry.attrs["asymmetry"] = member.asymmetry
        for name, value in asdict(member.stability).items():
            entry.attrs[name] = value


def read_prior(group: h5py.Group) -> Prior:
    """Read what `write_prior` wrote.

    Raises
    ------
    InputError
        If this version of the software numbers the force constants of the crystal in another way.
    """
    cell = group["crystal"]
    crystal = Crystal.from_cell(
        cell["lattice"][()],
        cell["positions"][()],
        [str(symbol) for symbol in cell["symbols"].asstr()[()]],
        cell["masses"][()],
        name=str(group.file.filename),
    )
    bonds = Bonds(
        crystal, *(group["bonds"][name][()] for name in ("operations", "first", "second", "cells", "bond"))
    )
    parametrisation = Parametrisation.from_bonds(bonds)
    order = group["order"][()]
    labels = tuple(str(label) for label in group["labels"].asstr()[()])
    if labels != tuple(parametrisation.labels[k] for k in order):
        raise InputError(
            f"the force constants in {group.file.filename} are numbered in another way",
            "their labels differ from those of this version for the same crystal",
            "make the file again with this version",
        )
    reference = group["reference"]
    term = None
    if "non_analytic" in reference:
        polar = reference["non_analytic"]
        term = NonAnalyticTerm(
            crystal,
            polar["supercell"][()],
            polar["born"][()],
            polar["dielectric"][()],
            float(polar.attrs["factor"]),
            "wang" if polar.attrs["method"] == "wang" else "gonze",
            *(float(polar.attrs[name]) if name in polar.attrs else None for name in ("cutoff", "smearing")),
        )
    mean = group["mean"][()]
    unordered = np.empty_like(mean)
    unordered[order] = mean
    empty = ForceConstants(
        crystal=crystal,
        first=parametrisation.first,
        second=parametrisation.second,
        cells=parametrisation.cells,
        tensors=np.zeros((len(parametrisation.first), 3, 3)),
        supercell=reference["supercell"][()],
        non_analytic=term,
        source="",
    )
    return Prior(
        parametrisation=parametrisation,
        order=order,
        members=tuple(_read_member(entry) for entry in group["members"].values()),
        reference=parametrisation.force_constants(unordered, empty, str(reference.attrs["source"])),
        mean=mean,
        sigma=group["sigma"][()],
        lower=group["lower"][()],
        upper=group["upper"][()],
    )


def _read_member(entry: Any) -> Member:
    q1, q2, q3 = entry.attrs["worst_q"]
    return Member(
        name=str(entry.attrs["name"]),
        values=entry["values"][()],
        asymmetry=float(entry.attrs["asymmetry"]),
        stability=Stability(
            stable=bool(entry.attrs["stable"]),
            lowest=float(entry.attrs["lowest"]),
            worst_q=(float(q1), float(q2), float(q3)),
            highest=float(entry.attrs["highest"]),
            lowest_commensurate=float(entry.attrs["lowest_commensurate"]),
        ),
    )
