"""Numbers of several tokens by the chain rule, against the plain sum of log-probabilities, one number at a time."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.answer_loss import example
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.scoring.engine import Engine
from activelora.scoring.layout import grouped_paths  # type: ignore[attr-defined]
from tests.scoring.test_engine import slow_embeddings

ITEMS = [
    Item("a", {"text": "How far is the moon from the earth ?"}),
    Item("b", {"text": "Who wrote the play ?"}),
    Item("c", {"text": "Where"}),
]


def encoder_of(base, **changes):
    settings = {"kind": "regression", "prompt": "Question: {text}\nAnswer:", "minimum": 0, "maximum": 24, **changes}
    return Encoder(base.tokenizer, TaskConfig.model_validate({**settings, "chat_template": "never"}))


def slow_numbers(base, encoded, sampler, sample):
    scores = []
    for ids in encoded.answer_ids:
        with sampler.activate(sample), torch.no_grad():
            logits = base.model(input_ids=torch.tensor([[*encoded.prompt_ids, *ids]])).logits[0].double()
        begin = len(encoded.prompt_ids) - 1
        log_probs = torch.log_softmax(logits, dim=-1)
        scores.append(sum(float(log_probs[begin + place, token]) for place, token in enumerate(ids)))
    scores = np.array(scores)
    return scores - np.logaddexp.reduce(scores)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_the_grid_s_distribution_equals_the_slow_computation(base, adapted, batch_tokens):
    encoder = encoder_of(base)
    assert encoder.scoring == "chain"
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    fast_NKC, embeddings_ND = engine.log_probs_and_embeddings(ITEMS, MergedSamples(adapted, 0.3, seed=9), [0, 1], "x")
    assert fast_NKC.shape == (3, 2, 25)
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    for row, encoded in enumerate(encoder.encode(ITEMS)):
        for sample in (0, 1):
            np.testing.assert_allclose(fast_NKC[row, sample], slow_numbers(base, encoded, slow, sample), atol=1e-4)
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, encoder, ITEMS, slow, [0, 1]), atol=1e-4)


def test_no_number_begins_another_and_only_beginnings_get_an_end(base):
    encoder = encoder_of(base)
    codes = encoder.encode(ITEMS)[0].answer_ids
    end = base.tokenizer.eos_token_id
    assert not any(a != b and b[: len(a)] == a for a in codes for b in codes)
    ended = [index for index, code in enumerate(codes) if code[-1] == end]
    assert ended == [1, 2]
    one = example(encoder.encode(ITEMS)[0], 13)
    assert base.tokenizer.decode(one.targets) == " 13"


def test_few_rows_tell_all_numbers(base):
    codes = encoder_of(base, minimum=0, maximum=100).encode(ITEMS)[0].answer_ids
    groups = grouped_paths(codes)
    assert len(groups) == 9
    assert sorted(index for group in groups for index, _ in group) == list(range(101))
    for group in groups:
        run = group[0][1][:-1]
        assert all(run[: len(ids) - 1] == ids[:-1] for _, ids in group)


def test_numbers_of_one_token_take_the_one_token_path(base):
    class OneToken:
        """The tiny tokenizer has a token for the white space before a digit; here digits alone are the answers."""

        def __init__(self, tokenizer):
            self._tokenizer = tokenizer

        def __call__(self, text, **options):
            return self._tokenizer(text.replace(" 1", "1").replace(" 2", "2").replace(" 3", "3"), **options)

        def __getattr__(self, name):
            return getattr(self._tokenizer, name)

    settings = {"kind": "regression", "prompt": "{text}", "minimum": 1, "maximum": 3, "chat_template": "never"}
    encoder = Encoder(OneToken(base.tokenizer), TaskConfig.model_validate(settings))
    assert encoder.scoring == "token"
    log_probs_NKC = Engine(base, encoder, 0, 4096).log_probs(ITEMS, NoAdapter(), [None], "x")
    encoded = encoder.encode(ITEMS)[0]
    np.testing.assert_allclose(log_probs_NKC[0, 0], slow_numbers(base, encoded, NoAdapter(), None), atol=1e-4)
