import numpy as np
import pytest
import torch

from activelora.config import AdapterConfig
from activelora.modeling import lora
from activelora.modeling.methods.ensemble import EnsemblePosterior
from activelora.modeling.sampling import MergedSamples, SampledPosterior, SwappedSamples, UnmergedSamples
from activelora.scoring.engine import Engine


@pytest.fixture
def members(base):
    """The weights of three adapters, as after training."""
    found = []
    for member in range(3):
        with lora.attached(lora.attach(base, AdapterConfig(rank=4, dropout=0.0), seed=member)) as adapted:
            torch.manual_seed(member)
            for parameter in lora.b_parameters(adapted):
                parameter.data.normal_(0, 0.1)
            found.append({name: weight.data.clone() for name, weight in lora.weights_by_name(adapted).items()})
    return found


@pytest.fixture
def adapted(base, members):
    with lora.attached(lora.attach(base, AdapterConfig(rank=4, dropout=0.3), seed=9)) as adapted:
        adapted.eval()
        yield adapted


def alone(base, adapted, encoder, items, member):
    """One member's answers, by plain peft."""
    for name, weight in lora.weights_by_name(adapted).items():
        weight.data = member[name].clone()
    return Engine(base, encoder, 0, 4096).log_probs(items, UnmergedSamples(adapted, 0.0, 0), [None], "test")[:, 0]


@pytest.mark.parametrize("plain", [MergedSamples, UnmergedSamples])
def test_a_sample_is_a_member_and_the_prediction_their_mean(base, adapted, encoder, items, members, plain):
    before = {name: weight.data.clone() for name, weight in lora.weights_by_name(adapted).items()}
    sampler = SwappedSamples(adapted, plain(adapted, 0.3, seed=1), members.__getitem__)
    posterior, engine = EnsemblePosterior(sampler, 3), Engine(base, encoder, 0, 4096)
    many = posterior.predict(engine, items, 8, False, "test").log_probs_NKC
    two = posterior.predict(engine, items, 2, False, "test").log_probs_NKC
    mean = posterior.predict(engine, items, 0, True, "test")
    assert all(torch.equal(before[name], weight) for name, weight in lora.weights_by_name(adapted).items())
    expected = np.stack([alone(base, adapted, encoder, items, member) for member in members], axis=1)
    assert many.shape[1] == 3
    np.testing.assert_allclose(many, expected, atol=1e-4)
    np.testing.assert_allclose(two, expected[:, :2], atol=1e-4)
    assert mean.log_probs_NKC.shape[1] == 1
    np.testing.assert_allclose(np.exp(mean.log_probs_NKC[:, 0]), np.exp(expected).mean(axis=1), atol=1e-5)
    assert mean.embeddings_ND.shape == (len(items), 32)


def test_no_sample_is_the_adapter_itself(base, adapted, encoder, items, members):
    engine = Engine(base, encoder, 0, 4096)
    sampler = SwappedSamples(adapted, MergedSamples(adapted, 0.3, seed=1), members.__getitem__)
    found = SampledPosterior(sampler).predict(engine, items, 0, False, "test").log_probs_NKC
    expected = engine.log_probs(items, MergedSamples(adapted, 0.3, seed=1), [None], "test")
    np.testing.assert_array_equal(found, expected)
