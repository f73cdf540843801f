"""Written answers and their scores against one item at a time, without cache, padding or shared parts."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.answer_loss import example
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.scoring.engine import Engine
from activelora.scoring.texts import rescore, write_answers
from tests.scoring.test_engine import slow_embeddings

ITEMS = [
    Item("a", {"text": "How far is the moon from the earth ?"}),
    Item("b", {"text": "Who wrote the play ?"}),
    Item("c", {"text": "Where"}),
    Item("d", {"text": "What is red and green and blue and far ?"}),
]


@pytest.fixture
def encoder(base):
    settings = {"kind": "generation", "prompt": "Question: {text}\nAnswer:", "chat_template": "never"}
    return Encoder(base.tokenizer, TaskConfig.model_validate(settings))


def slow_answer(base, prompt, max_tokens, end):
    written = []
    with torch.no_grad():
        while len(written) < max_tokens and (not written or written[-1] != end):
            logits = base.model(input_ids=torch.tensor([[*prompt, *written]])).logits
            written.append(int(logits[0, -1].argmax()))
    return tuple(written)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_answers_equal_the_slow_greedy_loop(base, adapted, encoder, batch_tokens):
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    answers = write_answers(engine, ITEMS, MergedSamples(adapted, 0.3, seed=9), 9, "x")
    with UnmergedSamples(adapted, 0.3, seed=9).activate(None):
        prompts = [one.prompt_ids for one in encoder.encode(ITEMS)]
        assert answers == [slow_answer(base, prompt, 9, encoder.end) for prompt in prompts]
    assert len(set(answers)) > 1


def test_an_answer_ends_with_its_end_token(base, encoder):
    engine = Engine(base, encoder, 0, 4096)
    plain = write_answers(engine, ITEMS, NoAdapter(), 6, "x")
    prompts = [one.prompt_ids for one in encoder.encode(ITEMS)]
    from activelora.scoring.texts import greedy

    end = plain[0][2]
    with torch.no_grad():
        cut = greedy(base, prompts, 6, end)
    for whole, short in zip(plain, cut, strict=True):
        expected = whole[: whole.index(end) + 1] if end in whole else whole
        assert short == expected


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_token_scores_equal_the_slow_computation(base, adapted, encoder, batch_tokens):
    answers = [encoder.encode_text(text) for text in ("red", "the moon is far", "1 + 2 = 3\n#### 3", "water")]
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    scores, embeddings_ND = rescore(engine, ITEMS, answers, MergedSamples(adapted, 0.3, seed=9), [0, 1], "x")
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    for one, encoded, ids in zip(scores, encoder.encode(ITEMS), answers, strict=True):
        for sample in (0, 1):
            with slow.activate(sample), torch.no_grad():
                logits = base.model(input_ids=torch.tensor([[*encoded.prompt_ids, *ids]])).logits[0].double()
            begin = len(encoded.prompt_ids) - 1
            probs = torch.softmax(logits[begin : begin + len(ids)], dim=-1).numpy()
            np.testing.assert_allclose(one.log_probs_KT[sample], np.log(probs[range(len(ids)), ids]), atol=1e-4)
            np.testing.assert_allclose(one.entropies_KT[sample], -(probs * np.log(probs)).sum(axis=1), atol=1e-4)
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, encoder, ITEMS, slow, [0, 1]), atol=1e-4)
    assert np.abs(scores[1].log_probs_KT[0] - scores[1].log_probs_KT[1]).max() > 1e-3


def test_a_text_is_learned_whole_with_its_end(base, encoder):
    text = "2 + 2 = 4\n#### 4"
    (encoded,), indices = encoder.encode_labelled(ITEMS[:1], [text])
    one = example(encoded, indices[0])
    assert one.targets[-1] == encoder.end
    assert encoder.decode_text(one.targets) == text
    assert one.ids == encoded.prompt_ids + one.targets[:-1]


def test_a_model_that_returns_nan_is_refused(base, encoder):
    head = base.model.get_output_embeddings()
    before = head.weight.data
    head.weight.data = torch.full_like(before, float("nan"))
    try:
        with pytest.raises(ModelError, match="not numbers for item a"):
            rescore(Engine(base, encoder, 0, 4096), ITEMS[:1], [(3, 4)], NoAdapter(), [None], "x")
    finally:
        head.weight.data = before
