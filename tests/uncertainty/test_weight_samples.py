import numpy as np
import torch

from activelora.uncertainty.weight_samples import column_mask, merged_weight


def test_merged_weight_is_the_formula_entry_by_entry():
    generator = torch.Generator().manual_seed(0)
    weight, a, b = (torch.randn(shape, generator=generator) for shape in ((5, 7), (3, 7), (5, 3)))
    mask = torch.tensor([0.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0])
    merged = merged_weight(weight, a, b, 1.5, mask)
    for o in range(5):
        for i in range(7):
            update = sum(b[o, r] * a[r, i] * mask[i] for r in range(3))
            assert abs(merged[o, i] - (weight[o, i] + 1.5 * update)) < 1e-5
    assert torch.allclose(merged_weight(weight, a, b, 1.5, None), weight + 1.5 * b @ a, atol=1e-5)


def test_a_merged_layer_acts_as_dropout_on_a_s_input():
    generator = torch.Generator().manual_seed(0)
    x, weight, a, b = (torch.randn(shape, generator=generator) for shape in ((4, 7), (5, 7), (3, 7), (5, 3)))
    mask = column_mask(1, 0, "layer", 7, 0.5)
    by_hand = x @ weight.T + 2.0 * ((x * mask) @ a.T) @ b.T
    assert torch.allclose(x @ merged_weight(weight, a, b, 2.0, mask).T, by_hand, atol=1e-5)


def test_masks_have_the_dropout_s_rate_and_mean_one():
    masks = torch.stack([column_mask(1, sample, "layer", 500, 0.2) for sample in range(200)])
    assert set(masks.unique().tolist()) == {0.0, 1.25}
    assert abs((masks == 0).float().mean() - 0.2) < 0.005
    assert abs(masks.mean() - 1.0) < 0.01


def test_masks_are_independent_between_samples_layers_and_seeds_and_repeat_by_name():
    reference = column_mask(1, 0, "layer", 2000, 0.5)
    assert torch.equal(reference, column_mask(1, 0, "layer", 2000, 0.5))
    for other in (
        column_mask(1, 1, "layer", 2000, 0.5),
        column_mask(1, 0, "another", 2000, 0.5),
        column_mask(2, 0, "layer", 2000, 0.5),
    ):
        correlation = np.corrcoef(reference.numpy(), other.numpy())[0, 1]
        assert abs(correlation) < 0.1


def test_no_dropout_is_no_mask():
    assert torch.equal(column_mask(1, 0, "layer", 9, 0.0), torch.ones(9))
