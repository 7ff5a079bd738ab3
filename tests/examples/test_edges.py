"""What counts as an edge, what chance gives, and that fixed filters stay fixed."""

import numpy as np
import pytest
import torch

from examples import edges as edges_program
from examples.common.training import train
from examples.experiments import edges
from examples.experiments.edges import DIAGONAL, GRADIENT, ODD, PREWITT, SOBEL, edge_share

LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
STEP = np.array([[-1, 1, 1]] * 3)  # an edge beside the middle


def test_edges_have_share_1_at_any_angle_and_size():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (50, 1, 1))
    turned = 0.01 * (np.cos(angles) * SOBEL + np.sin(angles) * SOBEL.T)
    np.testing.assert_allclose(edge_share(turned), 1)
    np.testing.assert_allclose(edge_share(turned, remove_mean=True), 1)
    np.testing.assert_allclose(edge_share([PREWITT, DIAGONAL, PREWITT.T, -DIAGONAL[::-1]], ODD), 1)
    np.testing.assert_allclose(edge_share([PREWITT, DIAGONAL]), 8 / 9)


def test_what_is_no_edge_has_share_0():
    for span in (GRADIENT, ODD):
        for remove_mean in (False, True):
            flat = np.full((3, 3), 0.1)  # its mean is 0.1 only up to rounding
            shares = edge_share([flat, LAPLACIAN, np.zeros((3, 3))], span, remove_mean)
            np.testing.assert_allclose(shares, 0, atol=1e-15)


def test_a_mean_counts_unless_it_is_removed():
    energy = (SOBEL**2).sum()
    np.testing.assert_allclose(edge_share([SOBEL + 2]), energy / (energy + 9 * 4))
    np.testing.assert_allclose(edge_share([SOBEL + 2], remove_mean=True), 1)


def test_the_bases_are_orthonormal_and_of_the_promised_dimensions():
    for basis, dimensions in ((GRADIENT, 2), (ODD, 4)):
        np.testing.assert_allclose(basis @ basis.T, np.eye(dimensions), atol=1e-12)
    odd = np.random.default_rng(0).standard_normal((20, 3, 3))
    odd -= odd[:, ::-1, ::-1]  # every filter that changes its sign under half a turn
    np.testing.assert_allclose(edge_share(odd, ODD), 1)


@pytest.mark.parametrize("span", [GRADIENT, ODD])
@pytest.mark.parametrize("remove_mean", [False, True])
@pytest.mark.parametrize("draw", ["uniform", "standard_normal"])
def test_chance_is_the_mean_share_of_random_filters(span, remove_mean, draw):
    rng = np.random.default_rng(1)
    filters = rng.uniform(-1, 1, (40_000, 3, 3)) if draw == "uniform" else rng.standard_normal((40_000, 3, 3))
    shares = edge_share(filters, span, remove_mean)
    error = shares.std() / np.sqrt(len(shares))
    assert abs(shares.mean() - edges.chance(span, remove_mean)) < 4 * error
    assert abs(shares.mean() - edges.chance(span, not remove_mean)) > 10 * error  # 2/8 is not 2/9


def test_a_step_beside_the_middle_is_an_edge_to_step_share_alone():
    np.testing.assert_allclose(edges.step_share(np.array([STEP, PREWITT + 3, -STEP.T]))[[0, 2]], 1)
    assert edge_share([STEP], ODD, True)[0] < 0.8
    assert edges.step_share(np.array([LAPLACIAN]))[0] < 0.5
    assert edges.step_share(np.ones((1, 3, 3)))[0] == 0
    bright = {tuple(step > 0) for step in edges.step_edges()}
    assert bright == {tuple(~np.array(cut)) for cut in bright} and len(bright) == len(edges.step_edges())
    assert all(tuple((pattern > 0).ravel()) in bright for pattern in (STEP, SOBEL + 0.5, DIAGONAL - 0.5))
    assert tuple((LAPLACIAN > 0).ravel()) not in bright


def test_untrained_filters_are_those_of_the_network():
    filters = edges.untrained_filters(3)
    assert filters.shape == (3, 16, 3, 3) and abs(filters).max() <= 1 / 3
    np.testing.assert_array_equal(
        filters[2], edges.first_filters(edges.start("MNISTCNN", "torch", 10**6 + 2))
    )


def test_p_value_tells_a_shift_from_none():
    rng = np.random.default_rng(0)
    null = rng.normal(0.22, 0.03, 500)
    assert edges.p_value(rng.normal(0.3, 0.03, 5), null) < 0.001
    assert edges.p_value(np.full(5, 0.22), null) > 0.3
    assert edges.p_value(np.full(5, 0.1), null) > 0.999


def test_fixed_filters_differ_in_direction_alone():
    learned = edges.untrained_filters(1)[0] * np.linspace(1, 3, 16)[:, None, None]
    kinds = {kind: edges.fixed_filters(kind, 4, learned) for kind in ("edges", "random", "learned")}
    for filters in kinds.values():
        np.testing.assert_allclose(*(np.linalg.norm(f, axis=(1, 2)) for f in (filters, learned)), rtol=1e-6)
    np.testing.assert_allclose(kinds["learned"], learned, rtol=1e-6)
    np.testing.assert_allclose(edge_share(kinds["edges"]), 1)
    assert edge_share(kinds["random"]).mean() < 0.6
    again = edges.first_filters(edges.start("MNISTCNN", "torch", 4))
    cosines = (kinds["random"] * again).sum((1, 2)) / np.linalg.norm(learned, axis=(1, 2))
    np.testing.assert_allclose(cosines, np.linalg.norm(again, axis=(1, 2)), rtol=1e-5)


def test_fixed_filters_stay_and_all_else_learns(few_digits):
    filters = edges.untrained_filters(1)[0]
    model = edges.fixed_network(filters, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, few_digits, 0, 1)
    after = model.state_dict()
    np.testing.assert_array_equal(edges.first_filters(model), filters)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == set(after) - {"conv1.weight"}
    model.conv1.weight.requires_grad_(True)  # and a network that is not fixed is seen
    train(model, few_digits, 0, 1)
    assert (edges.first_filters(model) != filters).any()


def test_the_edge_verdict_follows_the_numbers():
    low, high = np.full((5, 16), 0.2), np.full((5, 16), 0.8)

    def verdict(trained, p):
        return edges.edge_verdict(edges.Shares("Sobel span", 2 / 9, trained, low, 0.0, 0.0, p))

    text = verdict(high, 0.0001)
    assert "lean towards edges" in text and "most of them are edge" in text and "(100 %" in text
    text = verdict(low, 0.5)
    assert "cannot be told from untrained" in text and "most of them are not" in text
    text = verdict(np.concatenate([low[:3], high[:2]]), 0.01)
    assert "lean" in text and "most of them are not" in text and "(40 %" in text


def test_share_rows_see_edges_and_see_none():
    before, null = edges.untrained_filters(4)[:3], edges.untrained_filters(200)
    edge = np.stack([edges.fixed_filters("edges", 0, filters) for filters in before])
    for row in edges.share_rows(before, before + edge, null):
        assert row.gain > 3 * row.error and row.p < 0.01
    for row in edges.share_rows(before, before, null):
        assert row.gain == 0 and row.p > 0.01
        assert np.isnan(row.chance) or row.untrained.mean() == pytest.approx(row.chance, abs=0.02)


def test_the_verdict_on_optimal_follows_the_numbers():
    base, noise = np.array([98.0, 98.2, 98.1]), np.array([0.01, -0.01, 0.0])

    def verdict(random, learned):
        return edges.optimum_verdict(
            {"edges": base, "random": base + random + noise, "learned": base + learned + noise}
        )

    assert "supported" in verdict(-1, -1)
    assert "refuted" in verdict(-1, 1)
    assert "not shown" in verdict(0, -1)
    assert "+1.00 +-0.02 points" in verdict(-1, 0)


def test_the_program(few_digits, tmp_path, capsys):
    flags = f"--dataset digits --seeds 2 --epochs 1 --fixed-epochs 1 --null 100 --output-dir {tmp_path}"
    assert edges_program.main(flags.split()) == 0
    out = capsys.readouterr().out
    assert "\ndigits (130 training and 360 test images), 1 epoch, seeds 0 to 1" in out
    for name in (*edges.MEASURES, "not fixed", "Sobel span, 2 of 9: trained", '"Optimal" is'):
        assert f"\n{name}" in out
    assert (tmp_path / "edges.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="2"):
        edges_program.main(["--seeds", "1"])
    assert capsys.readouterr().err.count("\n") == 1
