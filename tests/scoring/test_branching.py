"""Answers that share their prompt's pass score as if each ran on its own."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.split import SplitDecoder
from activelora.modeling.training import first_adapted
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.branching import can_branch
from activelora.scoring.engine import Engine
from tests.scoring.test_engine import assert_same, slow_embeddings, slow_log_probs

ITEMS = [
    Item("a", {"text": "What is red ?"}, ("fire", "blue water is far from the earth", "the moon")),
    Item("b", {"text": "Where"}, ("the river is far", "earth")),
    Item("c", {"text": "Who wrote the play on the moon ?"}, ("human", "the first human", "green", "red and blue")),
    Item("d", {"text": "Yes"}, ("no",)),
]
SHARED = "Read the question , then answer it . "


@pytest.fixture(params=["", SHARED], ids=["no-prefix", "prefix"])
def encoder(request, base):
    prompt = f"{request.param}Question: {{text}}\nAnswer:"
    config = TaskConfig(kind="multiple_choice", prompt=prompt, answer="text", chat_template="never")
    return Encoder(base.tokenizer, config)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_branches_equal_the_slow_computation(base, adapted, encoder, batch_tokens, tmp_path):
    kept = TrunkStates(tmp_path, 10_000_000)
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens, kept)
    sampler, samples = MergedSamples(adapted, 0.3, seed=9), [None, 0]
    fast, embeddings_ND = engine.log_probs_and_embeddings(ITEMS, sampler, samples, "test")
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    assert_same(fast, slow_log_probs(base, encoder, ITEMS, slow, samples))
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, encoder, ITEMS, slow, samples), atol=1e-4)
    again = Engine(base, encoder, first_adapted(adapted), batch_tokens, kept)
    np.testing.assert_array_equal(again.log_probs(ITEMS, sampler, samples, "test"), fast)


def test_the_prompt_is_run_once_for_all_its_answers(base, encoder):
    engine, tokens = Engine(base, encoder, 0, 4096), []
    hook = (
        base.model.get_decoder()
        .layers[0]
        .register_forward_pre_hook(lambda _, args: tokens.append(args[0].shape[0] * args[0].shape[1]))
    )
    engine.log_probs(ITEMS[:1], NoAdapter(), [None], "test")
    hook.remove()
    (one,) = encoder.encode(ITEMS[:1])
    assert sum(tokens) == len(one.prompt_ids) + sum(len(ids) - 1 for ids in one.answer_ids)


@pytest.mark.parametrize(
    ("model_type", "more", "expected"), [("llama", {}, True), ("mistral", {"sliding_window": 4}, False)]
)
def test_a_model_that_attends_to_a_window_runs_answers_on_their_own(model_type, more, expected):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **sizes, **heads, **more)).eval()
    assert can_branch(SplitDecoder(model, 0), torch.empty(0)) == expected
