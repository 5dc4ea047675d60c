"""A virtual experiment counts what the plain sum of its physics says, and its file tells all about it."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import fcinv_core
from fcinv_core.crystal import FloatArray, read_structure
from fcinv_core.errors import InputError
from fcinv_core.events import NEUTRON_ENERGY, Detectors, EventSource, open_events, q_from_detectors
from fcinv_core.files import sha256
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.instrument import find_instrument
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.debye_waller import BOLTZMANN, bose_occupation
from fcinv_core.structure_factor.one_phonon import coherent_one_phonon
from fcinv_core.virtual_experiment import (
    BraggPeaks,
    Spurion,
    VirtualExperiment,
    draw,
    expected,
    make_sample,
    plan,
    scaled_to,
    write_experiment,
)
from tests.structure_factor.judge import euphonic_structure_factors, in_euphonic, stable

EI, TEMPERATURE = 60.0, 120.0


@functools.cache
def planned() -> VirtualExperiment:
    """Wurtzite on CNCS with a few large pixels, two runs, at a temperature at which all parts count."""
    experiment = plan(
        stable("wurtzite ZnO", 2),
        find_instrument("CNCS"),
        EI,
        TEMPERATURE,
        [10.0, 47.0],
        u=(1, 0, 0),
        v=(0, 0, 1),
        grid=SpectralGrid(-20.0, 50.0, 28),
        pixel_spacing=8.0,
    )
    return scaled_to(experiment, 40_000, 0.15)


def counts_of(experiment: VirtualExperiment, run: int) -> FloatArray:
    """Expected counts of all pixels and bins, those that cannot be reached included."""
    counts = np.zeros((len(experiment.detectors.ids), experiment.grid.n_bins))
    for block in expected(experiment, run):
        counts[block.pixels, : experiment.n_reachable] = block.counts
    return counts


def drawn_counts(experiment: VirtualExperiment, run: int) -> FloatArray:
    counts = np.zeros((len(experiment.detectors.ids), experiment.grid.n_bins))
    for chunk in draw(experiment, run):
        row = experiment.detectors.rows(chunk.detector)
        column = ((chunk.energy - experiment.grid.minimum) / experiment.grid.width).astype(int)
        np.add.at(counts, (row, column), chunk.signal * np.sqrt(1 - chunk.energy / EI))
    return counts


@pytest.fixture(scope="module")
def event_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("virtual") / "events.nxs"
    write_experiment(path, planned(), instrument_name="CNCS", provenance={"made_of": "ZnO"})
    return path


def test_expected_counts_equal_the_plain_sum_with_euphonic_structure_factors() -> None:
    experiment = planned()
    sample, crystal = experiment.sample, experiment.sample.crystal
    run = experiment.runs[1]
    blocks = list(expected(experiment, 1))
    rng = np.random.default_rng(1)
    judge = in_euphonic(sample.force_constants)
    basis = crystal.conventional_lattice
    solid_angle = experiment.detectors.solid_angle
    assert solid_angle is not None
    for _ in range(12):
        block = blocks[rng.integers(len(blocks))]
        p, k = rng.integers(len(block.pixels)), rng.integers(experiment.n_reachable)
        q_sample, energy = block.q_sample[0, p, k], float(block.energy[0, p, k])
        # hkl of the UB refer to the conventional cell, fractions q to the primitive one.
        hkl = np.linalg.inv(2 * np.pi * run.ub) @ q_sample
        q = (np.linalg.inv(basis) @ hkl) @ crystal.lattice.T
        energies, strengths = euphonic_structure_factors(judge, q[None], crystal, sample.lengths)
        mine = coherent_one_phonon(sample.force_constants, q[None], sample.lengths, sample.displacements)
        bare = coherent_one_phonon(sample.force_constants, q[None], sample.lengths)
        # Euphonic's sums, damped as ours are: its Debye-Waller factors come from another mesh.
        damping = mine.strengths[0].sum() / bare.strengths[0].sum()
        total = 0.0
        for mode, strength in zip(mine.energies[0], mine.strengths[0], strict=True):
            n = float(bose_occupation(np.array(mode), TEMPERATURE))
            for place, factor in ((mode, n + 1), (-mode, n)):
                sigma = float(experiment.resolution.sigma(np.array(place)))
                line = np.exp(-0.5 * ((energy - place) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
                total += strength * factor * line
        assert strengths[0].sum() * damping == pytest.approx(mine.strengths[0].sum(), rel=1e-5)
        np.testing.assert_allclose(energies[0], mine.energies[0], rtol=1e-5)
        length = np.array([np.linalg.norm(q_sample)])
        for part in (sample.incoherent.one_phonon, sample.incoherent.multiphonon):
            total += float(part(length, experiment.grid, experiment.resolution)[0, k])
        weight = experiment.scale * solid_angle[block.pixels[p]] * experiment.grid.width * np.sqrt(1 - energy / EI)
        assert block.signal[0, p, k] == pytest.approx(weight * total, rel=2e-3, abs=1e-12)


def test_points_lie_in_their_pixels_and_bins_and_conserve_energy_and_momentum() -> None:
    experiment = planned()
    edges, ki = experiment.grid.edges, np.sqrt(EI / NEUTRON_ENERGY)
    for index, run in enumerate(experiment.runs):
        for block in expected(experiment, index):
            k = experiment.n_reachable
            assert np.all((block.energy >= edges[:k]) & (block.energy <= edges[1 : k + 1]))
            final = np.array([0, 0, ki]) - block.q_sample @ run.goniometer.T
            length = np.linalg.norm(final, axis=-1)
            np.testing.assert_allclose(length**2 * NEUTRON_ENERGY, EI - block.energy, rtol=1e-10)
            two_theta, azimuth = experiment.detectors.two_theta, experiment.detectors.azimuth
            centre = np.stack(
                [np.sin(two_theta) * np.cos(azimuth), np.sin(two_theta) * np.sin(azimuth), np.cos(two_theta)],
                axis=1,
            )[block.pixels]
            away = np.arccos(np.clip(np.einsum("npki,pi->npk", final, centre) / length, -1, 1))
            assert np.degrees(away.max()) < np.hypot(*experiment.pixel_size) / 2 + 1e-6
            assert np.degrees(away.max()) > 0.4 * np.hypot(*experiment.pixel_size)


def test_gain_and_loss_obey_detailed_balance() -> None:
    sample, narrow = planned().sample, Resolution((1e-4,))
    q = np.array([[1.23, 0.41, 2.07]])
    lines = coherent_one_phonon(sample.force_constants, q, sample.lengths, sample.displacements)
    for mode in lines.energies[0]:
        loss = sample.coherent(q, np.array([mode]), narrow)
        gain = sample.coherent(q, np.array([-mode]), narrow)
        assert gain[0] / loss[0] == pytest.approx(np.exp(-mode / (BOLTZMANN * TEMPERATURE)), rel=1e-6)


def test_counts_scatter_as_poisson_numbers_around_what_is_expected() -> None:
    experiment = planned()
    mean, counts = counts_of(experiment, 0), drawn_counts(experiment, 0)
    seen = mean > 0
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    pearson = (counts[seen] - mean[seen]) ** 2 / mean[seen]
    error = np.sqrt((2 + 1 / mean[seen]).sum()) / seen.sum()
    assert abs(pearson.mean() - 1) < 4 * error
    assert abs(counts.sum() - mean.sum()) < 4 * np.sqrt(mean.sum())


def test_scale_and_background_give_the_counts_asked_for() -> None:
    experiment = planned()
    blocks = [block for run in (0, 1) for block in expected(experiment, run)]
    assert sum(block.signal.sum() for block in blocks) == pytest.approx(40_000, rel=1e-9)
    assert sum(block.background * block.signal[0].size for block in blocks) == pytest.approx(6_000, rel=1e-9)


def test_counts_follow_proton_charge_and_solid_angle() -> None:
    experiment = planned()
    solid_angle = experiment.detectors.solid_angle
    assert solid_angle is not None
    longer = replace(experiment, runs=tuple(replace(run, proton_charge=3.0) for run in experiment.runs))
    np.testing.assert_allclose(counts_of(longer, 0), 3 * counts_of(experiment, 0), rtol=1e-12)
    wider = replace(
        experiment, background=0.0, detectors=replace(experiment.detectors, solid_angle=2 * solid_angle)
    )
    bare = replace(experiment, background=0.0)
    np.testing.assert_allclose(counts_of(wider, 0), 2 * counts_of(bare, 0), rtol=1e-12)


def test_file_reads_back_with_runs_orientation_and_bins(event_file: Path) -> None:
    experiment, source = planned(), open_events(event_file)
    assert [run.number for run in source.runs] == [run.number for run in experiment.runs]
    for read, made in zip(source.runs, experiment.runs, strict=True):
        np.testing.assert_allclose(read.ub, made.ub, atol=1e-12)
        np.testing.assert_allclose(read.goniometer, made.goniometer, atol=1e-12)
        assert read.incident_energy == EI
        assert read.temperature == TEMPERATURE
        assert read.proton_charge == 1.0
    assert source.energy_bin_width == pytest.approx(experiment.grid.width)
    np.testing.assert_allclose(source.detectors[0].two_theta, experiment.detectors.two_theta, atol=1e-9)
    assert source.detectors[0].solid_angle is not None
    np.testing.assert_allclose(source.detectors[0].solid_angle, experiment.detectors.solid_angle, rtol=1e-6)
    chunk = next(source.chunks(source.n_events))
    np.testing.assert_allclose(q_from_detectors(chunk, source), chunk.q_sample, atol=1e-5)
    # Signals are counts times ki/kf, and squared errors counts times (ki/kf)².
    ratio = np.sqrt(EI / (EI - chunk.energy))
    counts = chunk.signal / ratio
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
    np.testing.assert_allclose(chunk.error_squared, chunk.signal * ratio, rtol=1e-5)
    assert counts.sum() == pytest.approx(sum(drawn_counts(experiment, run).sum() for run in (0, 1)), rel=1e-6)


def test_threads_change_nothing_and_seeds_do(event_file: Path, tmp_path: Path) -> None:
    write_experiment(tmp_path / "one.nxs", planned(), instrument_name="CNCS", threads=1)
    write_experiment(tmp_path / "five.nxs", planned(), instrument_name="CNCS", threads=5)
    write_experiment(tmp_path / "other.nxs", replace(planned(), seed=1), instrument_name="CNCS")

    def table(path: Path) -> FloatArray:
        with h5py.File(path, "r") as file:
            return np.asarray(file["MDEventWorkspace/event_data/event_data"][:])

    np.testing.assert_array_equal(table(tmp_path / "one.nxs"), table(event_file))
    np.testing.assert_array_equal(table(tmp_path / "five.nxs"), table(event_file))
    assert not np.array_equal(table(tmp_path / "other.nxs"), table(event_file))


def test_true_events_are_as_many_and_keep_their_own_energies(tmp_path: Path) -> None:
    experiment = replace(planned(), true_events=True, points=2)
    n_events = write_experiment(tmp_path / "events.nxs", experiment, instrument_name="CNCS")
    source = open_events(tmp_path / "events.nxs")
    mean = sum(counts_of(experiment, run).sum() for run in (0, 1))
    assert abs(n_events - mean) < 5 * np.sqrt(mean)
    assert source.energy_bin_width is None
    chunk = next(source.chunks(source.n_events))
    np.testing.assert_allclose(chunk.signal, np.sqrt(EI / (EI - chunk.energy)), rtol=1e-5)
    # Q and E are those of one neutron that came from the centre of its pixel.
    ki = np.sqrt(EI / NEUTRON_ENERGY)
    turns = np.array([run.goniometer for run in experiment.runs])[chunk.run]
    final = np.array([0, 0, ki]) - np.einsum("nij,nj->ni", turns, chunk.q_sample)
    np.testing.assert_allclose((final**2).sum(axis=1) * NEUTRON_ENERGY, EI - chunk.energy, atol=2e-3)
    place = np.searchsorted(experiment.detectors.ids, chunk.detector)
    np.testing.assert_array_equal(experiment.detectors.ids[place], chunk.detector)
    cosine = final[:, 2] / np.linalg.norm(final, axis=1)
    np.testing.assert_allclose(cosine, np.cos(experiment.detectors.two_theta[place]), atol=1e-4)


def test_masked_pixels_and_unreachable_energies_stay_empty() -> None:
    experiment = planned()
    masked = np.zeros(len(experiment.detectors.ids), dtype=bool)
    masked[::3] = True
    beyond = replace(
        experiment,
        grid=SpectralGrid(-20.0, 80.0, 40),
        resolution=Resolution((1.5,)),
        detectors=replace(experiment.detectors, masked=masked),
    )
    mean = counts_of(beyond, 0)
    assert np.isfinite(mean).all()
    assert not mean[masked].any()
    assert not mean[:, beyond.grid.edges[1:] >= EI].any()
    assert mean[~masked][:, beyond.grid.edges[1:] < EI].min() > 0
    for chunk in draw(beyond, 0):
        assert not masked[beyond.detectors.rows(chunk.detector)].any()
        assert chunk.energy.max(initial=-20.0) < EI


def test_bragg_peaks_integrate_to_their_structure_factor() -> None:
    sample, peaks = planned().sample, BraggPeaks(mosaic=0.8, width=0.05)
    crystal = sample.crystal
    for index in ((1, 1, 1), (2, 0, 0), (-1, 2, 1)):
        centre = np.array(index) @ crystal.reciprocal_lattice
        axis = np.linspace(-0.2, 0.2, 41)
        grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        q = (centre + grid) @ crystal.lattice.T / (2 * np.pi)
        found = peaks.scattering(sample, q).sum() * (axis[1] - axis[0]) ** 3
        factor = 0j
        for position, b, tensor in zip(
            crystal.positions, sample.lengths.coherent, sample.displacements.tensors, strict=True
        ):
            phase = np.exp(2j * np.pi * np.dot(index, position))
            factor += b * phase * np.exp(-centre @ tensor @ centre / 2)
        volume = abs(np.linalg.det(crystal.lattice))
        assert found == pytest.approx(10 * (2 * np.pi) ** 3 / (4 * volume) * abs(factor) ** 2, rel=2e-3)


def test_elastic_line_and_bragg_peaks_lie_at_zero_energy() -> None:
    experiment = planned()
    plain = replace(experiment, elastic=False)
    with_bragg = replace(plain, bragg=BraggPeaks(mosaic=3.0, width=0.3), points=4)
    assert not any(block.elastic.any() or block.bragg.any() for block in expected(plain, 0))
    for one in (experiment, with_bragg):
        line = sum((block.elastic + block.bragg).sum(axis=(0, 1)) for block in expected(one, 0))
        centres = experiment.grid.centres[: experiment.n_reachable]
        fwhm = float(experiment.resolution.fwhm(np.array(0.0)))
        assert line[np.abs(centres) < 1.5 * fwhm + experiment.grid.width].sum() > 0.99 * line.sum() > 0


def test_spurion_is_where_it_was_put() -> None:
    experiment = planned()
    block = next(iter(expected(experiment, 0)))
    p, k = 3, 12
    hkl = np.linalg.inv(2 * np.pi * experiment.runs[0].ub) @ block.q_sample[0, p, k]
    spurion = Spurion((hkl[0], hkl[1], hkl[2]), float(block.energy[0, p, k]), 500.0)
    dirty = next(iter(expected(replace(experiment, spurions=(spurion,)), 0)))
    more = (dirty.signal - block.signal)[0]
    assert np.unravel_index(more.argmax(), more.shape) == (p, k)
    assert more[p, k] > 50 * np.median(block.signal)
    half = np.linalg.norm(block.q_sample - block.q_sample[0, p, k], axis=-1)[0] > 1.0
    assert np.abs(more[half]).max() < 1e-9 * more[p, k]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"runs": ()}, "0 runs"),
        ({"points": 0}, "points 0"),
        ({"background": -1.0}, "background -1"),
        ({"grid": SpectralGrid(61.0, 70.0, 9)}, "can be reached"),
    ],
)
def test_impossible_experiments_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(planned(), **change)


def test_energies_beyond_the_resolution_are_refused() -> None:
    with pytest.raises(InputError, match=r"known from -60 to 57 meV"):
        plan(stable("wurtzite ZnO", 2), find_instrument("CNCS"), EI, 5.0, [0.0], grid=SpectralGrid(0.0, 59.0, 59))


def _twin_counts(source: EventSource, runs: list[int], detectors: Detectors) -> FloatArray:
    counts = np.zeros((len(source.runs), len(detectors.ids), 84))
    for chunk in source.chunks():
        column = ((chunk.energy + 4) / 0.5).astype(int)
        weights = chunk.signal * np.sqrt(1 - chunk.energy / 40)
        np.add.at(counts, (chunk.run, detectors.rows(chunk.detector), column), weights)
    return counts[runs]


@pytest.mark.slow
def test_expected_counts_are_those_of_the_twin(shared_data: Path) -> None:
    """R, UB, the sign of Q, kf/ki, Debye-Waller factors and resolution against counts made by Mantid and Euphonic.

    Scale and background are fitted: the twin's README states 15 % background and no absolute scale. It holds no
    incoherent or multiphonon scattering, and nothing near 2 meV, where its maker left modes out.
    """
    structure = shared_data / "ge_dft" / "POSCAR"
    crystal = read_structure(structure)
    fcs = read_force_constants(shared_data / "ge_dft" / "FORCE_CONSTANTS", crystal, structure=structure)
    source = open_events(shared_data / "twin" / "ge_arcs_twin.nxs")
    with h5py.File(shared_data / "twin" / "ge_arcs_twin_solid_angle.nxs", "r") as file:
        solid_angle = file["mantid_workspace_1/workspace/values"][:, 0]
    detectors = replace(source.detectors[0], solid_angle=solid_angle)
    runs = list(range(4, 120, 15))
    n_points = 3
    experiment = VirtualExperiment(
        sample=make_sample(fcs, 5.0, 8.5),
        runs=tuple(source.runs[run] for run in runs),
        detectors=detectors,
        pixel_size=(2.0, 4.0),
        grid=SpectralGrid(-4.0, 38.0, 84),
        resolution=Resolution((0.15 + 0.84, -0.84 / 40)),
        incoherent=False,
        elastic=False,
        points=n_points,
    )
    shape = (len(runs), len(detectors.ids), 84)
    signal, spread = np.zeros(shape), np.zeros(shape)
    for run in range(len(runs)):
        for block in expected(experiment, run):
            signal[run, block.pixels] = block.signal.sum(axis=0)
            spread[run, block.pixels] = n_points**2 * block.signal.var(axis=0, ddof=1)
    counts = _twin_counts(source, runs, detectors)
    inelastic = experiment.grid.centres > 4
    signal, spread, counts = signal[..., inelastic], spread[..., inelastic], counts[..., inelastic]

    # Counts near the top of the spectrum fix the background, all of them the scale.
    dark = experiment.grid.centres[inelastic] > 37.5
    background = counts[..., dark].mean()
    scale = (counts.sum() - background * counts.size) / signal.sum()
    all_signal = scale * signal.sum() / inelastic.sum() * 84
    assert background * counts[..., 0].size * 84 / all_signal == pytest.approx(0.15, abs=0.05)
    mean = scale * signal + background
    # The twin took one random point in each bin: its counts scatter by that, too, and ours by a third of it.
    variance = mean + scale**2 * spread * (1 + 1 / n_points)
    elevation = np.rint(np.degrees(np.arcsin(np.sin(detectors.two_theta) * np.sin(detectors.azimuth))))
    rows = [elevation == one for one in np.unique(elevation)]

    def deviations(sums: list[tuple[FloatArray, FloatArray, FloatArray]]) -> FloatArray:
        return np.array([(c.sum() - m.sum()) / np.sqrt(v.sum()) for c, m, v in sums])

    by_run = deviations([(counts[k], mean[k], variance[k]) for k in range(len(runs))])
    by_row = deviations([(counts[:, row], mean[:, row], variance[:, row]) for row in rows])
    by_energy = deviations(
        [(counts[..., k], mean[..., k], variance[..., k]) for k in range(counts.shape[-1]) if not dark[k]]
    )
    for found in (by_run, by_row, by_energy):
        assert np.abs(found).max() < 4.5
        # The estimated spread of the points has long tails, which few sums average out.
        assert 0.3 < np.sqrt((found**2).mean()) < 1.6

    # Pixel by pixel, and not with the crystal turned the other way.
    assert np.corrcoef(counts.ravel(), mean.ravel())[0, 1] > 0.5
    turned = tuple(replace(run, goniometer=run.goniometer.T) for run in experiment.runs)
    wrong = replace(experiment, runs=turned, points=1)
    other = np.zeros(shape)
    for block in expected(wrong, 4):
        other[4, block.pixels] = block.signal.sum(axis=0)
    assert np.corrcoef(counts[4].ravel(), other[4][:, inelastic].ravel())[0, 1] < 0.3


def test_shipped_experiment_holds_what_its_truth_scatters() -> None:
    folder = Path(fcinv_core.__file__).parent / "data" / "virtual"
    content = json.loads((folder / "ge_small.json").read_text(encoding="utf-8"))
    events = folder / "ge_small.nxs"
    assert sha256(events) == content["events_sha256"]
    assert events.stat().st_size < 3e6
    source = open_events(events)
    assert len(source.runs) == len(content["psi_degrees"])
    assert source.n_events == content["events"]

    crystal = read_structure(folder / "POSCAR")
    truth = read_force_constants(folder / "phonopy_params_truth.yaml.xz", crystal)
    low, step, high = content["energy_bins_mev"]
    experiment = plan(
        truth,
        find_instrument(content["instrument"]),
        content["incident_energy_mev"],
        content["temperature_k"],
        content["psi_degrees"],
        u=content["along_beam_and_in_plane"][0],
        v=content["along_beam_and_in_plane"][1],
        grid=SpectralGrid(low, high, round((high - low) / step)),
        pixel_spacing=content["pixel_degrees"][0],
    )
    assert list(experiment.pixel_size) == content["pixel_degrees"]
    scaled = replace(
        experiment,
        seed=content["seed"],
        scale=content["scale"],
        background=content["background_counts_per_pixel_and_bin"],
    )
    # Made again, a run has the same counts, up to few that rounding of another machine tips over.
    again = next(draw(scaled, 5))
    chunk = next(source.chunks(source.n_events))
    mine = (chunk.run == 5) & np.isin(chunk.detector, again.detector)
    assert chunk.signal[mine].sum() == pytest.approx(again.signal.sum(), rel=1e-3)
