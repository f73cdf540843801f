"""C-LoRA's KL and noise against torch.distributions, loops, and the plain model run one item at a time."""

import functools

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig
from activelora.modeling import lora
from activelora.modeling.clora import (
    BLOCK_TOKENS,
    Clock,
    ContextSamples,
    FixedNoise,
    FreshNoise,
    clora_layers,
    kl_to_prior,
    mean_kl,
    noisy,
    recorded,
)
from activelora.modeling.clora_layers import CLoraPeftConfig, ContextConfig, Posterior
from activelora.modeling.encoding import Encoder
from activelora.modeling.rows import Rows, project
from activelora.scoring.engine import Engine
from tests.scoring.test_engine import assert_same, slow_embeddings, slow_log_probs

BODY = ("q_proj", "v_proj", "down_proj")
HEAD = ("q_proj", "lm_head")


def attach(base, targets=BODY, last_layers=None, **context):
    """A C-LoRA adapter whose parameters are all away from zero, so that every sample differs."""
    config = AdapterConfig(method="c_lora", rank=3, dropout=0.0, targets=targets, last_layers=last_layers)
    kind = functools.partial(CLoraPeftConfig, clora_config=ContextConfig(**{"width": 8, **context}))
    adapted = lora.attach(base, config, 3, kind)
    torch.manual_seed(5)
    for layer_name, layer in clora_layers(adapted).items():
        scale = 0.15 if layer_name.endswith("lm_head") else 0.3  # scores beyond 100 leave float32 few digits
        for name in ("lora_A", "lora_B", "lora_E1", "lora_E2"):
            for parameter in getattr(layer, name)["default"].parameters():
                parameter.data.normal_(0, scale)
    return adapted.eval()


def posterior(*shape):
    torch.manual_seed(0)
    gate = torch.randn(shape) * 4
    return Posterior(torch.randn(shape), torch.sigmoid(gate) ** 2, 2 * torch.nn.functional.logsigmoid(gate))


@pytest.mark.parametrize("prior_std", [0.2, 1.0])
def test_the_kl_is_that_of_torch_s_distributions(prior_std):
    q = posterior(2, 5, 3, 3)
    expected = kl_divergence(Normal(q.mean.double(), q.std.double()), Normal(0.0, prior_std)).sum(dim=(-2, -1))
    torch.testing.assert_close(kl_to_prior(q, prior_std).double(), expected, rtol=1e-4, atol=1e-3)
    assert (kl_to_prior(q, prior_std) >= 0).all()


def test_the_kl_is_zero_at_the_prior_and_finite_where_sigma_is_tiny():
    std = torch.full((1, 2, 2), 0.2)
    assert kl_to_prior(Posterior(torch.zeros(1, 2, 2), std, std.log()), 0.2).item() == pytest.approx(0.0, abs=1e-6)
    gate = torch.full((1, 2, 2), -80.0)
    q = Posterior(torch.zeros(1, 2, 2), torch.sigmoid(gate) ** 2, 2 * torch.nn.functional.logsigmoid(gate))
    assert torch.isfinite(kl_to_prior(q, 0.2)).all()


IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 0, 0, 0]])
ANSWERS = Rows(torch.tensor([0, 0, 1]), torch.tensor([4, 5, 2]))  # the second sequence ends at position 2


def run(base):
    """One forward pass, as in training: decoder, then the head on the answers' tokens alone."""
    hidden = base.model.get_decoder()(input_ids=IDS).last_hidden_state
    return project(base.model.get_output_embeddings(), hidden[ANSWERS.sequences, ANSWERS.positions], ANSWERS)


@pytest.mark.parametrize("targets", [BODY, HEAD])
def test_the_kl_is_averaged_over_valid_tokens_and_then_over_layers(base, targets):
    adapted = attach(base, targets)
    with lora.attached(adapted):
        layers = clora_layers(adapted)
        inputs = {}
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
            for name, layer in layers.items()
        ]
        with recorded(list(layers.values())), torch.no_grad():
            run(base)
            found = mean_kl(list(layers.values()), ANSWERS, 0.2)
        for hook in hooks:
            hook.remove()
        means = []
        for name, layer in layers.items():
            x = inputs[name]
            tokens = x if x.dim() == 2 else torch.cat([x[0, :6], x[1, :3]])
            kls = []
            for token in tokens:
                q = layer.posterior(layer.lora_A["default"](token), "default")
                kls.append(kl_divergence(Normal(q.mean, q.std), Normal(0.0, 0.2)).sum().item())
            means.append(np.mean(kls))
        assert len({len(inputs[name]) for name in inputs}) == (2 if targets == HEAD else 1)
    assert found.item() == pytest.approx(np.mean(means), rel=1e-4)


def test_a_and_b_learn_nothing_from_the_kl_and_everything_learns_from_the_likelihood(base):
    adapted = attach(base, HEAD)
    with lora.attached(adapted):
        layers = clora_layers(adapted)
        noise = {name: FreshNoise("token") for name in layers}
        with noisy(layers, noise), recorded(list(layers.values())):
            nll = torch.logsumexp(run(base), dim=-1).sum()
            kl = mean_kl(list(layers.values()), ANSWERS, 0.2)
        parameters = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
        from_kl = torch.autograd.grad(kl, list(parameters.values()), allow_unused=True, retain_graph=True)
        from_nll = torch.autograd.grad(nll, list(parameters.values()))
    for name, gradient in zip(parameters, from_kl, strict=True):
        assert (gradient is None) == (".lora_A." in name or ".lora_B." in name), name
    assert all(gradient.abs().max() > 0 for gradient in from_nll)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradient_checkpointing_leaves_the_gradients_as_they_are(base, use_reentrant):
    def gradients(checkpointed):
        adapted = attach(base, ("q_proj", "v_proj"))
        with lora.attached(adapted):
            layers = clora_layers(adapted)
            decoder = base.model.get_decoder()
            if checkpointed:
                base.model.activation_checkpointing_enable({"use_reentrant": use_reentrant})
                decoder.embed_tokens.register_forward_hook(lambda m, i, output: output.requires_grad_())
                for layer in decoder.layers:
                    layer.training = True
            torch.manual_seed(11)
            noise = {name: FreshNoise("token") for name in layers}
            with noisy(layers, noise), recorded(list(layers.values())):
                nll = torch.logsumexp(run(base), dim=-1).sum()
                (nll + mean_kl(list(layers.values()), ANSWERS, 0.2)).backward()
            if checkpointed:
                decoder.embed_tokens._forward_hooks.clear()
                base.model.activation_checkpointing_disable()
                for layer in decoder.layers:
                    layer.training = False
            return {name: p.grad.clone() for name, p in adapted.named_parameters() if p.requires_grad}

    plain, checkpointed = gradients(False), gradients(True)
    assert any("lora_E2" in name and gradient.abs().max() > 1e-3 for name, gradient in plain.items())
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=1e-4, atol=1e-6)


def test_fresh_noise_is_one_draw_a_token_or_one_a_sequence():
    z = torch.zeros(2, 5, 3)
    torch.manual_seed(0)
    token = FreshNoise("token").draw(z, None)
    assert token.shape == (2, 5, 3, 3)
    assert len(token.unique()) == token.numel()
    sequence = FreshNoise("sequence").draw(z, None)
    assert sequence.shape == (2, 1, 3, 3)
    head = FreshNoise("sequence").draw(torch.zeros(3, 3), ANSWERS)
    assert torch.equal(head[0], head[1])
    assert not torch.equal(head[1], head[2])
    with pytest.raises(RuntimeError, match="which sequence"):
        FreshNoise("sequence").draw(torch.zeros(3, 3), None)


def test_fixed_noise_is_a_function_of_the_position():
    clock = Clock()
    length = 2 * BLOCK_TOKENS + 3
    whole = FixedNoise("token", 7, clock).draw(torch.zeros(1, length, 3), None)
    assert whole.shape == (length, 3, 3)
    assert abs(whole.mean()) < 0.1
    assert abs(whole.std() - 1) < 0.1
    later = FixedNoise("token", 7, clock)
    clock.num_before = BLOCK_TOKENS - 1
    assert torch.equal(later.draw(torch.zeros(4, 5, 3), None), whole[BLOCK_TOKENS - 1 : BLOCK_TOKENS + 4])
    rows = Rows(torch.tensor([0, 1]), torch.tensor([length - 1, 2]))
    assert torch.equal(later.draw(torch.zeros(2, 3), rows), whole[[length - 1, 2]])
    assert not torch.equal(FixedNoise("token", 8, clock).draw(torch.zeros(1, 5, 3), None), whole[:5])
    one = FixedNoise("sequence", 7, clock).draw(torch.zeros(4, 5, 3), None)
    assert one.shape == (3, 3)


@pytest.mark.parametrize("noise", ["token", "sequence"])
@pytest.mark.parametrize(("targets", "last_layers"), [(BODY, None), (BODY, 2), (HEAD, None)])
def test_scores_equal_the_slow_computation(base, encoder, items, noise, targets, last_layers):
    """Prefix cache, trunk and batches, all at once, against the whole model, one item at a time."""
    adapted = attach(base, targets, last_layers, noise=noise)
    with lora.attached(adapted):
        sampler, samples = ContextSamples(adapted, seed=9), [None, 0, 1]
        engine = Engine(base, encoder, 4 - (last_layers or 4), batch_tokens=64)
        fast, embeddings = engine.log_probs_and_embeddings(items, sampler, samples, "test")
        assert_same(fast, slow_log_probs(base, encoder, items, sampler, samples))
        np.testing.assert_allclose(embeddings, slow_embeddings(base, encoder, items, sampler, samples), atol=1e-4)
    assert np.abs(fast[:, 1] - fast[:, 0]).max() > 1e-2
    assert np.abs(fast[:, 2] - fast[:, 1]).max() > 1e-2


@pytest.mark.parametrize("targets", [BODY, HEAD])
def test_choices_scored_by_their_text_equal_the_slow_computation(base, targets):
    config = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\nAnswer:", answer="text", chat_template="never"
    )
    encoder = Encoder(base.tokenizer, config)
    items = [
        Item("a", {"text": "What is red ?"}, ("fire", "blue water", "the moon")),
        Item("b", {"text": "Where"}, ("the river is far", "earth")),
    ]
    adapted = attach(base, targets)
    with lora.attached(adapted):
        sampler = ContextSamples(adapted, seed=9)
        fast = Engine(base, encoder, 0, 64).log_probs(items, sampler, [None, 0], "test")
        assert_same(fast, slow_log_probs(base, encoder, items, sampler, [None, 0]))


@pytest.mark.parametrize("noise", ["token", "sequence"])
@pytest.mark.parametrize("batch_tokens", [64, 100])
def test_samples_do_not_depend_on_batch_size_order_or_company(base, encoder, items, noise, batch_tokens):
    adapted = attach(base, HEAD, noise=noise)
    with lora.attached(adapted):
        reference = Engine(base, encoder, 0, 4096).log_probs(items, ContextSamples(adapted, 9), [0, 1], "test")
        engine, sampler = Engine(base, encoder, 0, batch_tokens), ContextSamples(adapted, 9)
        order = np.random.default_rng(0).permutation(len(items))
        shuffled = engine.log_probs([items[i] for i in order], sampler, [0, 1], "test")
        np.testing.assert_allclose(shuffled, reference[order], atol=1e-4)
        parts = [engine.log_probs(part, sampler, [0, 1], "test") for part in (items[:3], items[3:4], items[4:])]
        np.testing.assert_allclose(np.concatenate(parts), reference, atol=1e-4)
        other = engine.log_probs(items, ContextSamples(adapted, 10), [0, 1], "test")
        assert np.abs(other - reference).max() > 1e-2


def test_nothing_is_left_behind_after_sampling(base, encoder, items):
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    adapted = attach(base)
    with lora.attached(adapted):
        engine = Engine(base, encoder, 0, 4096)
        plain = engine.log_probs(items, ContextSamples(adapted, 9), [None], "test")
        engine.log_probs(items, ContextSamples(adapted, 9), [0, 1], "test")
        assert all(layer.noise is None for layer in clora_layers(adapted).values())
        assert not base.model.get_decoder()._forward_pre_hooks
        again = engine.log_probs(items, ContextSamples(adapted, 9), [None], "test")
    np.testing.assert_array_equal(again, plain)
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
