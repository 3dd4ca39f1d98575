"""The figures of the paper: their numbers against closed forms, and the files that the verb writes."""

import re
from pathlib import Path

import numpy as np
import pytest

from suite.cli.main import main
from suite.ssm import discretize, hippo
from suite.theory import figures as figures


def middles(t):
    """The discrete kernel over the step size is the mean over the step that begins at t; the middle is near enough."""
    return t + figures.STEP / 2


def legs_closed_form(t):
    x = np.exp(-middles(t))
    return np.stack([np.sqrt(2 * n + 1) * np.polynomial.Legendre.basis(n)(2 * x - 1) * x for n in range(4)], axis=1)


def test_figure_1_decays_within_its_envelope():
    shown = figures.lin_basis()
    assert (shown.t[0], shown.t[-1], len(shown.names)) == (0, 2, 4)
    exact = np.stack([np.cos(np.pi * n * shown.t) * np.exp(-shown.t / 2) for n in range(1, 5)], axis=1)
    assert np.abs(shown.values - exact).max() < 1e-12
    assert (np.abs(shown.values) <= np.exp(-shown.t / 2)[:, None] + 1e-12).all()


@pytest.fixture(scope="module")
def figure_2():
    return figures.legs_kernels()


def test_figure_2_panel_a_has_the_closed_form(figure_2):
    panel = figure_2[0]
    assert panel.t[-1] == 2.5
    assert np.abs(panel.values - legs_closed_form(panel.t)).max() < 1e-4
    other = hippo.legs(64)  # lower triangular: the first kernels do not depend on N
    assert np.abs(discretize.basis(other.a, other.b, 0.002, 1251, "zoh", keep=4) - panel.values).max() < 1e-9


def test_figure_2_the_normal_part_closes_in_on_panel_a(figure_2):
    a, b, c, d = (panel.values for panel in figure_2)
    far = [np.sqrt(np.mean((values - a)[100:] ** 2)) for values in (b, c, d)]
    assert far[0] > 0.1 > 0.03 > far[1]
    smooth = slice(5, 500)  # until the fast modes meet again
    assert np.abs((d - a)[smooth]).max() < 0.02 < np.abs((c - a)[smooth]).max()


def test_figure_2_panel_d_is_the_sum_over_the_modes(figure_2):
    m = hippo.modes("legs", 1024)
    half = figures.STEP * m.a / 2
    a, b = (1 + half) / (1 - half), figures.STEP * m.b / 2 / (1 - half)
    powers = np.exp(np.outer(np.log(a), np.arange(0, 1251, 50)))
    assert np.abs(2 * ((m.v[:4] * b) @ powers).real.T / figures.STEP - figure_2[3].values[::50]).max() < 1e-9


def test_figure_3_values():
    shown = figures.frequencies()
    assert [list(np.round(shown[name][::-1][:4])) for name in ("S4D-LegS", "S4D-Inv")] == [
        [1303, 433, 258, 183], [1283, 414, 240, 166]]
    assert all(len(values) == 32 and (np.diff(values) > 0).all() for values in shown.values())
    assert shown["S4D-Lin"][[0, -1]] == pytest.approx([0, 31 * np.pi])
    assert shown["S4D-Inv2"][0] == pytest.approx(64 / np.pi)
    assert shown["S4D-Quad"][-1] == pytest.approx(63**2 / np.pi)
    near = shown["S4D-LegS"] / shown["S4D-Inv"]
    assert abs(near[-1] - 1) < 0.02
    assert np.abs(near[-4:] - 1).max() < 0.11


def test_figure_4_the_kernels_diverge_with_sigma():
    panels = figures.perturbed_kernels()
    assert [panel.title[4:] for panel in panels] == ["σ = 0", "σ = 0.1", "σ = 0.5", "σ = 1"]
    assert np.abs(panels[0].values - legs_closed_form(panels[0].t)).max() < 1e-4
    far = [np.abs(panel.values - panels[0].values).max() for panel in panels[1:]]
    assert far[0] < 0.01 < 1 < far[1] < 100 < 1e100 < far[2]


def test_figure_5_fout_ends_at_two_and_its_skew_part_never():
    fout, skew = figures.fout_kernels()
    inside, after = fout.values[:1000], fout.values[1020:]
    assert np.abs(after).max() < 0.01
    assert np.abs(inside[10:990] - np.stack([
        0.5 * np.ones(980), np.zeros(980), np.sqrt(0.5) * np.cos(np.pi * middles(fout.t[10:990])),
        np.sqrt(0.5) * np.sin(np.pi * middles(fout.t[10:990]))], axis=1)).max() < 0.02
    assert np.abs(skew.values[:, 2] - np.sqrt(2) * np.cos(np.pi * middles(skew.t))).max() < 1e-4


def test_the_verb_writes_every_figure_in_every_format(tmp_path: Path, capsys):
    assert main(["figures", "--out", str(tmp_path)]) == 0
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(files) == sorted(f"figure{n}.{kind}" for n in range(1, 6) for kind in ("pdf", "png", "svg"))
    for name, data in files.items():
        assert data.startswith({"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}[name.rpartition(".")[2]])
    assert {kind: files[f"figure3.{kind}"] for kind in figures.FORMATS} == figures.draw("3")  # the same bytes again


def test_axes_are_labelled_with_units():
    with figures.style(**figures.SMALL):
        for draw in (figures.figure_1, figures.figure_3, figures.figure_5):
            drawn = draw()
            labels = {axes.get_xlabel() for axes in drawn.axes} | {axes.get_ylabel() for axes in drawn.axes}
            assert any(re.search(r"\(unit time\)|\(rad per unit time\)", label) for label in labels)
            assert drawn.legends
            assert drawn.get_size_inches()[0] <= figures.WIDTH


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["figures", "--out", str(tmp_path / "file")]) == 2
    assert "must be a folder" in capsys.readouterr().err
