"""Laplace-LoRA on a real, tiny model, against finite differences and loops over single items and tokens."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from activelora.config import CampaignConfig
from activelora.modeling import lora
from activelora.modeling.methods import laplace, laplace_prior
from activelora.modeling.methods.answer_scores import AnswerScores
from activelora.modeling.posterior import Setting
from activelora.modeling.sampling import UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.rules.file import checked_config
from activelora.scoring.engine import Engine


@dataclass
class Job:
    """A job whose adapter is there already."""

    base: object
    config: CampaignConfig
    items: list
    labels: list


def settings(task, **adapter):
    return checked_config(
        {
            "name": "tiny",
            "task": task.model_dump(),
            "data": {"pool": {"path": "pool.jsonl"}},
            "adapter": {"rank": 4, **adapter},
            "training": {"batch_size": 3},
        },
        where="test",
    )


@pytest.fixture(params=["tokens", "text", "chain"])
def questions(request, questions_of):
    return questions_of(request.param)


def curved(base, adapted, questions, folder: Path, rank=200, precision=50.0):
    """Compute and save a posterior around the adapter, and load it."""
    task, encoder, asked = questions
    config = settings(task, laplace={"factor_rank": rank, "prior_precision": precision})
    job = Job(base, config, encoder.encode(asked), [0] * len(asked))
    for weight in lora.weights_by_name(adapted).values():
        weight.requires_grad_(True)
    curvature, log_likelihood, _ = laplace_prior.fit_curvature(job, adapted)
    laplace.save_file(laplace._tensors(curvature, precision), folder / laplace.POSTERIOR_FILE)  # type: ignore[attr-defined]
    setting = Setting(base, encoder, config, seed=5)
    return laplace.LaplacePosterior(adapted, folder, setting), curvature, log_likelihood


def dense(spectrum):
    return spectrum.vectors_DQ @ torch.diag(spectrum.values_Q) @ spectrum.vectors_DQ.T


def engine_of(base, encoder, adapted):
    return Engine(base, encoder, first_adapted(adapted), 4096)


def test_scores_are_the_engine_s(base, adapted, questions):
    _, encoder, asked = questions
    expected = engine_of(base, encoder, adapted).log_probs(asked, UnmergedSamples(adapted, 0.0, 1), [None], "test")[
        :, 0
    ]
    for weight in lora.weights_by_name(adapted).values():
        weight.requires_grad_(True)
    scores = AnswerScores(base, adapted, encoder.encode(asked), encoder.scoring)
    for batch in scores.batches(2):
        found = torch.log_softmax(scores.run(batch).detach().double(), dim=1)
        np.testing.assert_allclose(found, expected[batch], atol=1e-4)


def test_samples_are_the_linearised_model_s(base, adapted, questions, tmp_path):
    """J·(θ_k − θ) against the difference that a small step in that direction makes."""
    _, encoder, asked = questions
    posterior, curvature, _ = curved(base, adapted, questions, tmp_path)
    num_samples, step = 3, 2e-3
    shifts_NKC = posterior._shifts(asked, num_samples, "test")
    draws = {name: posterior._draw(name, layer, num_samples) for name, layer in curvature.items()}
    weights = lora.weights_by_name(adapted)
    scores = AnswerScores(base, adapted, encoder.encode(asked), encoder.scoring)

    def scores_at(sample, by):
        before = {name: weight.data.clone() for name, weight in weights.items()}
        for name, weight in weights.items():
            weight.data += by * draws[name][sample]
        found = scores.run(range(len(asked))).detach().double().numpy()
        for name, weight in weights.items():
            weight.data = before[name]
        return found

    for sample in range(num_samples):
        up, down = scores_at(sample, step), scores_at(sample, -step)
        there = np.isfinite(up)
        slope = (up[there] - down[there]) / (2 * step)
        assert np.abs(slope).max() > 1e-2
        np.testing.assert_allclose(shifts_NKC[:, sample][there], slope, atol=0.02 * np.abs(slope).max())


@pytest.mark.parametrize("questions", ["tokens", "text"], indirect=True)
def test_factors_are_those_of_a_loop_over_items_and_tokens(base, adapted, questions, tmp_path):
    _, encoder, asked = questions
    _, curvature, log_likelihood = curved(base, adapted, questions, tmp_path)
    name = next(reversed(curvature))
    layer = dict(adapted.named_modules())[name.rsplit(".lora_", 1)[0]]
    matrix = (layer.lora_B if ".lora_B" in name else layer.lora_A)["default"]
    inputs, outputs, num_tokens, total = 0.0, 0.0, 0, 0.0
    for encoded in encoder.encode(asked):
        kept = []
        handle = matrix.register_forward_hook(lambda module, args, out, kept=kept: kept.append((args[0][0], out)))
        scores = []
        if encoder.scores_text:
            for answer in encoded.answer_ids:
                ids = encoded.prompt_ids + answer
                log_probs = torch.log_softmax(base.model(input_ids=torch.tensor([ids[:-1]])).logits[0], dim=-1)
                last = log_probs[len(encoded.prompt_ids) - 1 :]
                scores.append(torch.stack([last[place, token] for place, token in enumerate(answer)]).mean())
            scores = torch.stack(scores)
        else:
            logits = base.model(input_ids=torch.tensor([encoded.prompt_ids])).logits[0, -1]
            scores = logits[[ids[0] for ids in encoded.answer_ids]]
        handle.remove()
        probs = torch.softmax(scores, dim=0).detach()
        total += float(probs[0].log())
        values, vectors = torch.linalg.eigh(torch.diag(probs) - torch.outer(probs, probs))
        for column in (vectors * values.clamp_min(0).sqrt()).T:  # another root of the same Hessian
            gradients = torch.autograd.grad((scores * column).sum(), [out for _, out in kept], retain_graph=True)
            for gradient in gradients:
                for token in gradient[0]:
                    outputs += torch.outer(token, token)
        for a, _ in kept:
            for token in a.detach():
                inputs, num_tokens = inputs + torch.outer(token, token), num_tokens + 1
    found = [dense(spectrum) for spectrum in (curvature[name].inputs, curvature[name].outputs)]
    torch.testing.assert_close(found[0], inputs / num_tokens, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found[1], outputs, atol=1e-4, rtol=1e-3)
    assert log_likelihood == pytest.approx(total, abs=1e-3)


def test_samples_spread_around_the_adapter_s_own_answer_and_repeat(base, adapted, questions, tmp_path):
    _, encoder, asked = questions
    posterior, _, _ = curved(base, adapted, questions, tmp_path)
    engine = engine_of(base, encoder, adapted)
    plain = posterior.predict(engine, asked, 0, False, "test").log_probs_NKC
    found = posterior.predict(engine, asked, 4, True, "test")
    assert plain.shape[1] == 1
    assert found.log_probs_NKC.shape[1] == 4
    np.testing.assert_allclose(np.exp(found.log_probs_NKC).sum(axis=2), 1.0)
    assert np.abs(np.diff(np.exp(found.log_probs_NKC), axis=1)).max() > 1e-3
    fewer = posterior.predict(engine, asked, 2, False, "test").log_probs_NKC
    np.testing.assert_allclose(fewer, found.log_probs_NKC[:, :2], atol=1e-5)
    tight, _, _ = curved(base, adapted, questions, tmp_path, precision=1e12)
    np.testing.assert_allclose(tight.predict(engine, asked, 2, False, "test").log_probs_NKC[:, :1], plain, atol=1e-3)
