"""The last layer runs what follows its attention only where an answer is read, with the same result."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, TokenSamples, UnmergedSamples
from activelora.modeling.split import SplitDecoder
from activelora.modeling.training import first_adapted
from activelora.scoring.engine import Engine
from tests.modeling.conftest import CHOICES, TEXTS

SAMPLES = [None, 0, 1]
SHARED = "What does the word mean ? Who wrote the play ? "


@pytest.fixture(params=["tokens", "shared prefix", "texts", "label sets"])
def task(request, base):
    """An encoder and items, whose answers are read at one place of a text or at many."""
    if request.param == "texts":
        config = TaskConfig(kind="multiple_choice", prompt="{text}\nAnswer:", answer="text", chat_template="never")
        items = [Item(str(i), {"text": TEXTS[i]}, choices) for i, choices in enumerate(CHOICES)]
    elif request.param == "label sets":
        config = TaskConfig(kind="multi_label", prompt="{text}\nIs it {label}?", labels=("fire", "water", "earth"))
        items = [Item(str(i), {"text": text * 2}) for i, text in enumerate(TEXTS[:4])]
    else:
        prompt = (SHARED if request.param == "shared prefix" else "") + "{text} is a"
        config = TaskConfig(prompt=prompt, labels=("number", "location", "human"))
        items = [Item(str(i), {"text": text}) for i, text in enumerate(TEXTS)]
    return Encoder(base.tokenizer, config.model_copy(update={"chat_template": "never"})), items


def run(base, engine, function):
    """Return a function's result, and how many places each run of the last layer's MLP saw."""
    seen = []
    hook = (
        base.model.get_decoder()
        .layers[-1]
        .mlp.gate_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[0] * inputs[0].shape[1]))
    )
    try:
        return function(), sum(seen)
    finally:
        hook.remove()


@pytest.mark.parametrize("kind", [MergedSamples, UnmergedSamples])
def test_scores_are_those_of_the_whole_layer(base, adapted, task, kind):
    encoder, items = task
    sampler = kind(adapted, 0.3, seed=9)
    engine = Engine(base, encoder, first_adapted(adapted), 64)
    assert engine._narrows
    narrow, num_narrow = run(base, engine, lambda: engine.log_probs(items, sampler, SAMPLES, "test"))
    (whole, _), num_whole = run(base, engine, lambda: engine.log_probs_and_embeddings(items, sampler, SAMPLES, "test"))
    np.testing.assert_allclose(narrow, whole, atol=1e-5)
    assert num_narrow < 0.8 * num_whole
    last = base.model.get_decoder().layers[-1]
    assert not last.mlp._forward_hooks
    assert not last.mlp._forward_pre_hooks


def test_memory_that_runs_out_changes_nothing(base, adapted, task):
    encoder, items = task
    sampler = MergedSamples(adapted, 0.3, seed=9)
    expected = Engine(base, encoder, first_adapted(adapted), 4096).log_probs(items, sampler, SAMPLES, "test")

    def refuse(_, args, kwargs):
        ids = kwargs.get("input_ids")
        ids = kwargs["inputs_embeds"] if ids is None else ids
        if ids.shape[0] * ids.shape[1] > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = Engine(base, encoder, first_adapted(adapted), 4096)
    hook = base.model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        found = engine.log_probs(items, sampler, SAMPLES, "test")
    finally:
        hook.remove()
    assert engine._top.has_halved
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_dropout_per_token_runs_the_whole_layer(base, adapted, task):
    """Its draws depend on the shape of what a layer sees."""
    encoder, items = task
    sampler = TokenSamples(adapted, seed=9)
    engine = Engine(base, encoder, first_adapted(adapted), 64)
    found = engine.log_probs(items, sampler, [0], "test")
    whole, _ = engine.log_probs_and_embeddings(items, sampler, [0], "test")
    np.testing.assert_allclose(found, whole, atol=1e-9)


def test_other_architectures_run_the_whole_layer(base, monkeypatch):
    class Pair(torch.nn.Module):
        """As mixtures of experts do: more than states comes back."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, hidden):
            return self.inner(hidden), None

    last = base.model.get_decoder().layers[-1]
    monkeypatch.setitem(last._modules, "mlp", Pair(last.mlp))
    assert not SplitDecoder(base.model, 0).can_narrow()
    assert not last.mlp._forward_hooks
    monkeypatch.undo()
    monkeypatch.delitem(last._modules, "mlp")
    assert not SplitDecoder(base.model, 0).can_narrow()
