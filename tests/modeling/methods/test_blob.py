import numpy as np
import pytest
import torch

from activelora.config import AdapterConfig, ConstraintConfig, TrainingConfig
from activelora.config.adapter import BlobConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.methods.blob import (
    BlobTrainee,
    Draws,
    Flipout,
    _initial_rhos,
    gaussian_kl,
    mean_std,
    pass_share,
    toward_prior,
)
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer


def test_the_divergence_is_that_of_torch_s_gaussians():
    torch.manual_seed(0)
    mean, std = torch.randn(5, 7), torch.rand(5, 7) + 0.01
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, std), normal(torch.zeros(5, 7), 0.2)).sum()
    torch.testing.assert_close(gaussian_kl(mean, std, 0.2), expected)
    assert float(gaussian_kl(torch.zeros(3), torch.full((3,), 0.2), 0.2)) == pytest.approx(0.0, abs=1e-6)


def test_the_shares_of_a_pass_double_and_sum_to_one_but_for_the_first():
    for count in (1, 2, 5):
        shares = [pass_share(index, count) for index in range(1, count + 1)]
        assert shares == pytest.approx([2**i / (2 ** (count + 1) - 1) for i in range(1, count + 1)])
        assert sum(shares) == pytest.approx(1 - 1 / (2 ** (count + 1) - 1))
    assert pass_share(2000, 2000) == pytest.approx(0.5)
    assert pass_share(1, 2000) == 0.0


def test_flipout_is_unbiased_and_as_wide_as_the_weights():
    """Over many draws: the mean is the mean pass, the variance that of one weight draw, and tokens do not correlate."""
    torch.manual_seed(0)
    mean = torch.nn.Linear(6, 3, bias=False)
    rho = torch.rand(3, 6) * 0.5 + 0.3
    x = torch.randn(1, 2, 6)
    flipout = Flipout(rho)
    with torch.no_grad():
        plain = mean(x)
        draws = torch.stack([flipout(mean, (x,), plain) for _ in range(20_000)])[:, 0]
    torch.testing.assert_close(draws.mean(dim=0), plain[0], atol=0.02, rtol=0)
    torch.testing.assert_close(draws.var(dim=0), x[0].square() @ rho.square().square().T, atol=0.02, rtol=0.05)
    correlation = np.corrcoef(draws[:, 0, 0], draws[:, 1, 0])[0, 1]
    assert abs(correlation) < 0.03


@pytest.fixture
def trainee(base):
    with lora.attached(lora.attach(base, AdapterConfig(rank=4, dropout=0.0), seed=3)) as adapted:
        config = BlobConfig(kl_weight=0.5, initial_std=0.01, kl_learning_rate=None)
        rhos = _initial_rhos(adapted, config, None)
        yield BlobTrainee(PlainTrainee(adapted, ConstraintConfig(form="none")), rhos, config, num_labels=10)


def test_a_pass_counts_the_divergence_once(trainee):
    trainee.optimizers(TrainingConfig(min_steps=0, warmup_fraction=0.0, batch_size=4))
    over_a_pass = sum(trainee.penalty(step, 9).item() for step in range(3, 6))
    expected = 0.5 * 3 / 10 * trainee.divergence().item() * (14 / 15)
    assert over_a_pass == pytest.approx(expected, rel=1e-5)


def test_the_divergence_s_own_step_is_plain_gradient_descent():
    torch.manual_seed(1)
    mean, rho = torch.randn(4, 5), torch.rand(4, 5) * 0.3 + 0.05
    rho[0] *= -1  # σ = ρ² does not know ρ's sign
    expected_mean, expected_rho = (torch.nn.Parameter(one.clone()) for one in (mean, rho))
    descent = torch.optim.SGD([expected_mean, expected_rho], lr=0.003)
    for _ in range(5):
        descent.zero_grad()
        gaussian_kl(expected_mean, expected_rho.square(), 0.2).backward()
        descent.step()
        toward_prior(mean, rho, 0.2, 0.003)
    torch.testing.assert_close(mean, expected_mean.data)
    torch.testing.assert_close(rho, expected_rho.data)


def test_a_steep_slope_does_not_throw_the_width_beyond_the_prior_s():
    mean, rho = torch.zeros(4), torch.tensor([0.0, 1e-20, -1e-6, 0.9])
    toward_prior(mean, rho, 0.2, 0.01)
    assert rho.isfinite().all()
    assert rho[:3].square().tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert 0.2 < float(rho[3]) ** 2 < 0.81  # a wider one comes nearer


def test_the_divergence_goes_at_its_own_scheduled_rate_after_the_likelihood_s_step(base):
    config = BlobConfig(kl_weight=0.5, kl_learning_rate=0.02, initial_std=0.01)
    with lora.attached(lora.attach(base, AdapterConfig(rank=4, dropout=0.0), seed=3)) as adapted:
        rhos = _initial_rhos(adapted, config, None)
        trainee = BlobTrainee(PlainTrainee(adapted, ConstraintConfig(form="none")), rhos, config, num_labels=10)
        (optimizer,) = trainee.optimizers(TrainingConfig(batch_size=4, learning_rate=1e-3))
        assert trainee.penalty(4, 9) is None  # the second step of a pass of three
        for group in optimizer.param_groups:
            group["lr"] = 0.4e-3
        before = {name: rho.detach().clone() for name, rho in rhos.items()}
        for parameter in [*rhos.values(), *lora.a_parameters(adapted)]:
            parameter.grad = torch.zeros_like(parameter)  # AdamW then stays where it is
        optimizer.step()
        rate = 0.02 * 0.4 * 0.5 * pass_share(2, 3)
        for name, rho in rhos.items():
            old = before[name]
            torch.testing.assert_close(rho.detach(), old - rate * (2 * old**3 / 0.04 - 2 / old))


def test_noise_is_there_in_training_only_and_a_vanishing_std_gives_the_mean(base, trainee):
    ids = torch.tensor([[3, 5, 7, 9]])
    for parameter in lora.b_parameters(trainee.adapted):
        parameter.data.fill_(0.1)

    def output():
        torch.manual_seed(4)
        with torch.no_grad():
            return base.model(input_ids=ids).logits

    plain = output()
    with trainee.training():
        assert (output() - plain).abs().max() > 1e-4
        for rho in trainee._rhos.values():
            rho.data.zero_()
        torch.testing.assert_close(output(), plain, atol=0, rtol=0)
    torch.testing.assert_close(output(), plain, atol=0, rtol=0)


def test_draws_have_the_mean_and_std_and_repeat_by_seed():
    means, rhos = {"a": torch.full((40, 50), 2.0)}, {"a": torch.full((40, 50), 0.5)}
    draws = Draws(means, rhos, seed=1)
    assert float(draws(0)["a"].mean()) == pytest.approx(2.0, abs=0.02)
    assert float(draws(0)["a"].std()) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(draws(3)["a"], Draws(means, rhos, seed=1)(3)["a"])
    assert not torch.equal(draws(3)["a"], draws(4)["a"])
    assert not torch.equal(draws(3)["a"], Draws(means, rhos, seed=2)(3)["a"])


def test_training_moves_mean_and_std_and_a_larger_weight_of_the_prior_widens(base, encoder, items):
    """And the losses that are reported are the likelihood's alone."""
    examples = [example(one, index % 4) for index, one in enumerate(encoder.encode(items))]
    training = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=4, batch_size=4, learning_rate=5e-3)
    found = []
    for kl_weight in (1e-6, 1.0):
        config = BlobConfig(kl_weight=kl_weight, initial_std=1e-4)
        with lora.attached(lora.attach(base, AdapterConfig(rank=4, dropout=0.0), seed=3)) as adapted:
            rhos = _initial_rhos(adapted, config, None)
            trainee = BlobTrainee(PlainTrainee(adapted, ConstraintConfig(form="none")), rhos, config, len(items))
            losses = Trainer(base, trainee, examples, training, seed=7).run(lambda: None)
            found.append((losses[0], mean_std(rhos), losses[-1]))
    (low, narrow, learnt), (high, wide, _) = found
    assert low == high < 20
    assert learnt < low
    assert wide > 2 * narrow
    assert narrow != pytest.approx(1e-4, rel=1e-3)
