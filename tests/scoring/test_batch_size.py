import numpy as np
import pytest
import torch

from activelora.config import ScoringConfig
from activelora.errors import ModelError
from activelora.modeling.sampling import MergedSamples
from activelora.modeling.training import first_adapted
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.batch_size import CPU_TOKENS, Halving, batch_tokens, token_bytes
from activelora.scoring.engine import Engine
from tests.modeling.matrix import FAMILIES, tiny
from tests.modeling.matrix_runs import base_of


def test_what_is_set_counts_and_auto_goes_by_the_device(base):
    assert batch_tokens(ScoringConfig(batch_tokens=777), base) == 777
    assert batch_tokens(ScoringConfig(), base) == CPU_TOKENS


def short_of_memory(most_rows, calls):
    def compute(rows):
        calls.append(rows.stop - rows.start)
        if rows.stop - rows.start > most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.arange(rows.start, rows.stop)[:, None, None] * torch.ones(1, 3, 2)

    return compute


@pytest.mark.parametrize("num_rows", [1, 7, 8, 13])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(num_rows, caplog):
    halving, calls = Halving(), []
    expected = torch.arange(num_rows)[:, None, None] * torch.ones(1, 3, 2)
    assert torch.equal(halving.run(short_of_memory(3, calls), num_rows, 3), expected)
    assert ("memory ran out" in caplog.text) == (num_rows > 3)
    calls.clear()
    assert torch.equal(halving.run(short_of_memory(3, calls), num_rows, 3), expected)
    assert max(calls) <= 3, "what was learnt holds for later batches"


def test_a_text_that_does_not_fit_alone_is_named():
    with pytest.raises(ModelError, match=r"task\.max_prompt_tokens.*single text of 3 tokens"):
        Halving().run(short_of_memory(0, []), 5, 3)


def test_other_errors_are_not_taken_for_it():
    def broken(rows):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        Halving().run(broken, 4, 3)


def test_scores_are_the_same_where_memory_ran_out(base, adapted, encoder, items, tmp_path):
    """The decoder itself refuses more than 45 tokens at a time, in trunk and top."""
    sampler = MergedSamples(adapted, 0.3, seed=9)
    expected, expected_ND = Engine(base, encoder, first_adapted(adapted), 4096).log_probs_and_embeddings(
        items, sampler, [None, 0], "test"
    )

    def refuse(_, args, kwargs):
        ids = kwargs.get("input_ids")
        ids = kwargs["inputs_embeds"] if ids is None else ids
        if ids.shape[0] * ids.shape[1] > 45:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = Engine(base, encoder, first_adapted(adapted), 4096, TrunkStates(tmp_path / "trunk", 10**7))
    hook = base.model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        found, found_ND = engine.log_probs_and_embeddings(items, sampler, [None, 0], "test")
    finally:
        hook.remove()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found_ND, expected_ND, atol=1e-5)
    assert not (tmp_path / "trunk").exists(), "halves round in another way than what others expect to find"


@pytest.mark.parametrize(("name", "inner"), [("gemma3n_text", 48), ("gemma3", 48), ("llama", 48)])
def test_a_token_s_bytes_are_those_of_the_widest_layer(tiny_tokenizer, name, inner):
    family = next(family for family in FAMILIES if family.name == name)
    assert token_bytes(base_of(family, tiny_tokenizer, tiny(family))) == 4 * (8 * 32 + 3 * inner)
