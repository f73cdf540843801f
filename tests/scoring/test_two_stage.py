import numpy as np
import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, SampledPosterior
from activelora.modeling.training import first_adapted
from activelora.scoring.engine import Engine
from activelora.scoring.predict import Predictor
from activelora.scoring.two_stage import Plan, estimate_recall, predict, score, split
from activelora.uncertainty.measures import NUMBER_MEASURES
from tests.modeling.conftest import CHOICES, LABELS, TEXTS

ITEMS = [Item(f"i{number:03d}", {"text": f"{text} {number}"}) for number in range(5) for text in TEXTS]
ITEMS = [Item(f"i{number:03d}", item.fields) for number, item in enumerate(ITEMS)]


def same(log_probs):
    return log_probs


def plan(share, batch=4, measures=("predictive_entropy",), adjust=same):
    return Plan(share, batch, measures, seed=1, adjust=adjust)


@pytest.fixture
def predictor(base, adapted):
    encoder = Encoder(base.tokenizer, TaskConfig(prompt="Q: {text}\nA:", labels=LABELS, chat_template="never"))
    engine = Engine(base, encoder, first_adapted(adapted), 256)
    return Predictor(engine, SampledPosterior(MergedSamples(adapted, 0.3, seed=9)))


def test_sampled_items_have_the_full_scores_and_the_others_those_of_one_pass(predictor):
    everyone = range(len(ITEMS))
    staged = predict(predictor, ITEMS, everyone, 3, plan(0.25), with_embeddings=True)
    full, single = predictor.log_probs(ITEMS, 3), predictor.log_probs(ITEMS, 0)
    chosen, audited = split(ITEMS, everyone, score("predictive_entropy", single), plan(0.25))
    assert (len(chosen), len(audited)) == (10, 20)
    sampled = sorted([*chosen, *audited])
    others = [index for index in everyone if index not in sampled]
    np.testing.assert_allclose(staged.log_probs_NKC[sampled], full[sampled], atol=1e-4)
    np.testing.assert_allclose(staged.log_probs_NKC[others], np.repeat(single[others], 3, axis=1), atol=1e-4)
    assert staged.embeddings_ND.shape == (len(ITEMS), 32)
    assert staged.metrics["two_stage_sampled"] == 10
    assert staged.metrics["two_stage_audited"] == 20
    assert min(score("predictive_entropy", single)[chosen]) >= max(
        score("predictive_entropy", single)[[index for index in everyone if index not in chosen]]
    )


def test_all_of_them_is_full_scoring_and_repeats(predictor):
    staged = predict(predictor, ITEMS[:9], range(9), 2, plan(1.0))
    np.testing.assert_allclose(staged.log_probs_NKC, predictor.log_probs(ITEMS[:9], 2), atol=1e-4)
    assert staged.metrics == {"two_stage_sampled": 9.0, "two_stage_audited": 0.0, "two_stage_recall": 1.0}
    again = predict(predictor, ITEMS[:9], range(9), 2, plan(1.0))
    np.testing.assert_array_equal(staged.log_probs_NKC, again.log_probs_NKC)


def test_at_least_a_batch_is_sampled_and_never_what_cannot_be_selected(predictor):
    staged = predict(predictor, ITEMS[:8], [1, 3, 5, 6, 7], 2, plan(0.01, batch=3, measures=("bald",)))
    differ = np.abs(np.diff(staged.log_probs_NKC, axis=1)).max(axis=(1, 2)) > 0
    assert not differ[[0, 2, 4]].any()
    assert staged.metrics["two_stage_sampled"] == 3


def test_the_split_knows_no_order():
    scores_N = np.random.default_rng(0).random(len(ITEMS))
    order = np.random.default_rng(1).permutation(len(ITEMS))
    chosen, audited = split(ITEMS, range(len(ITEMS)), scores_N, plan(0.3))
    shuffled = split([ITEMS[i] for i in order], range(len(ITEMS)), scores_N[order], plan(0.3))
    assert {order[i] for i in shuffled[0]} == set(chosen)
    assert {order[i] for i in shuffled[1]} == set(audited)
    assert not set(chosen) & set(audited)


def test_recall_is_exact_where_everything_is_audited():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores_N = rng.random(50)
        chosen = rng.permutation(50)[:20]
        left = np.setdiff1d(np.arange(50), chosen)
        true_top = set(np.argsort(-scores_N)[:8])
        expected = len(true_top & set(chosen)) / 8
        assert estimate_recall(scores_N[chosen], scores_N[left], len(left), 8) == pytest.approx(expected)


def test_recall_by_a_sample_is_right_on_average():
    rng = np.random.default_rng(0)
    scores_N = rng.random(2000)
    scores_N[:400] += 0.3
    chosen, left = np.arange(400), np.arange(400, 2000)
    top = np.argsort(-scores_N)[:300]
    expected = (top < 400).mean()
    found = [estimate_recall(scores_N[chosen], scores_N[rng.choice(left, 80)], 1600, 300) for _ in range(300)]
    assert 0.3 < expected < 0.9
    assert np.mean(found) == pytest.approx(expected, abs=0.02)


def test_nothing_left_out_is_full_recall():
    assert estimate_recall(np.array([1.0, 2.0]), np.array([]), 0, 2) == 1.0


@pytest.mark.parametrize("answer", ["letters", "text"])
def test_sampled_items_may_have_fewer_choices_than_others(base, adapted, answer):
    task = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\n{choices}\nAnswer:", answer=answer, chat_template="never"
    )
    items = [Item(f"i{number}", {"text": text}, CHOICES[0][: 2 + (number == 0)]) for number, text in enumerate(TEXTS)]
    encoder = Encoder(base.tokenizer, task)
    engine = Engine(base, encoder, first_adapted(adapted), 256)
    predictor = Predictor(engine, SampledPosterior(MergedSamples(adapted, 0.3, seed=9)))
    staged = predict(predictor, items, range(1, len(items)), 2, plan(0.5))
    assert staged.log_probs_NKC.shape == (len(items), 2, 3)
    assert np.isneginf(staged.log_probs_NKC[1:, :, 2]).all()
    np.testing.assert_allclose(np.exp(staged.log_probs_NKC).sum(axis=2), 1.0)


def test_where_nothing_can_be_selected_the_scores_have_their_usual_shape(predictor):
    """As in a shard all of whose items are labelled, which get embeddings only."""
    staged = predict(predictor, ITEMS[:5], [], 3, plan(0.5), with_embeddings=True)
    assert staged.log_probs_NKC.shape == (5, 3, len(LABELS))
    assert np.isfinite(staged.log_probs_NKC).all()
    assert staged.metrics == {"two_stage_sampled": 0.0, "two_stage_audited": 0.0, "two_stage_recall": 1.0}


@pytest.mark.parametrize("measure", ["variance", "epistemic_variance"])
def test_recall_of_a_regression_is_of_its_own_measures(base, adapted, measure):
    """A measure of that name that looks at probabilities, not numbers, ranks otherwise."""
    task = TaskConfig(kind="regression", prompt="Rate: {text}\nStars:", minimum=0, maximum=9, chat_template="never")
    encoder = Encoder(base.tokenizer, task)
    engine = Engine(base, encoder, first_adapted(adapted), 256)
    predictor = Predictor(engine, SampledPosterior(MergedSamples(adapted, 0.3, seed=9)))
    values_C = np.array(encoder.task.values)  # type: ignore[attr-defined]
    one = Plan(0.2, 6, [measure], 1, same, values_C)
    staged = predict(predictor, ITEMS, range(len(ITEMS)), 3, one)
    single_N = score("predictive_entropy", predictor.log_probs(ITEMS, 0))
    chosen, audited = split(ITEMS, range(len(ITEMS)), single_N, one)
    scores_N = NUMBER_MEASURES[measure](staged.log_probs_NKC, values_C)
    expected = estimate_recall(scores_N[chosen], scores_N[audited], len(ITEMS) - len(chosen), 6)
    assert staged.metrics["two_stage_recall"] == expected
