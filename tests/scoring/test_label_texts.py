"""Labels that share their first tokens, against one label at a time, each by its own forward pass."""

import numpy as np
import pytest

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.encoding import Encoder
from activelora.modeling.packing import packs
from activelora.modeling.sampling import MergedSamples, UnmergedSamples
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer, first_adapted
from activelora.scoring.engine import Engine
from activelora.scoring.layout import rows_of
from tests.scoring.test_engine import slow_embeddings
from tests.scoring.test_numbers import slow_numbers

BEGIN_ALIKE = ("blue water", "blue fire", "the moon", "the earth", "the moon is far", "river", "blue")
ITEMS = [
    Item("a", {"text": "How far is the moon from the earth ?"}),
    Item("b", {"text": "Who wrote the play ?"}),
    Item("c", {"text": "Where"}),
]
CHAIN = ("red", "red green", "red green blue", "red green blue water")


def encoder_of(base, labels=BEGIN_ALIKE, **changes):
    settings = {"prompt": "Question: {text}\nAnswer:", "labels": labels, "answer": "text", "chat_template": "never"}
    return Encoder(base.tokenizer, TaskConfig.model_validate({**settings, **changes}))


@pytest.mark.parametrize("labels", [BEGIN_ALIKE, CHAIN])
@pytest.mark.parametrize("batch_tokens", [24, 4096])
def test_the_labels_distribution_equals_the_slow_computation(base, adapted, labels, batch_tokens):
    encoder = encoder_of(base, labels)
    assert encoder.scoring == "chain"
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    fast_NKC, embeddings_ND = engine.log_probs_and_embeddings(ITEMS, MergedSamples(adapted, 0.3, seed=9), [0, 1], "x")
    plain_NKC = engine.log_probs(ITEMS, MergedSamples(adapted, 0.3, seed=9), [0, 1], "x")
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    for row, encoded in enumerate(encoder.encode(ITEMS)):
        for sample in (0, 1):
            expected_C = slow_numbers(base, encoded, slow, sample)
            np.testing.assert_allclose(fast_NKC[row, sample], expected_C, atol=1e-4)
    np.testing.assert_allclose(plain_NKC, fast_NKC, atol=1e-4)
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, encoder, ITEMS, slow, [0, 1]), atol=1e-4)


def test_where_first_tokens_differ_it_is_the_softmax_of_one_token(base):
    labels = ("description of water", "human", "number", "location")
    by_text, by_words = encoder_of(base, labels), encoder_of(base, labels, answer="words")
    assert by_text.scoring == by_words.scoring == "token"
    assert by_text.encode(ITEMS) == by_words.encode(ITEMS)


def test_a_prompt_is_run_once_for_all_labels_and_what_they_share_once(base):
    rng = np.random.default_rng(0)
    words = ("red", "green", "blue", "first", "far", "water", "fire", "earth")
    drawn = (" ".join(rng.choice(words, size=1 + rng.integers(4))) for _ in range(400))
    labels = tuple(dict.fromkeys(drawn))[:150]
    encoder = encoder_of(base, labels)
    (encoded,) = encoder.encode(ITEMS[:1])
    rows = rows_of([encoded], [0], "chain")
    assert sorted(answer for row in rows for answer, _ in row.paths) == list(range(150))
    (pack,) = packs([row.ids for row in rows], range(len(rows)), 4096)
    beginnings = {code[:length] for code in encoded.answer_ids for length in range(1, len(code))}
    assert len(pack.ids) == len(encoded.prompt_ids) + len(beginnings)
    assert encoder.num_label_tokens == len(beginnings) < sum(map(len, encoded.answer_ids)) / 2


def test_training_learns_labels_that_begin_alike(base):
    encoder = encoder_of(base, ("blue water", "blue fire", "river"))
    items = [Item(name, {"text": name}) for name in ("water", "Where", "the moon")]
    settings = AdapterConfig(rank=16)
    model = lora.attach(base, settings, seed=3)
    with lora.attached(model):
        examples = [example(item, label) for label, item in enumerate(encoder.encode(items))]
        training = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=150, learning_rate=0.02, batch_size=3)
        Trainer(base, PlainTrainee(model, settings.constraint), examples, training, seed=1).run(lambda: None)
        model.eval()
        log_probs_NKC = Engine(base, encoder, 0, 4096).log_probs(items, UnmergedSamples(model, 0.0, 1), [None], "x")
    assert log_probs_NKC[:, 0].argmax(axis=1).tolist() == [0, 1, 2]
    assert np.exp(log_probs_NKC[range(3), 0, range(3)]).min() > 0.8
