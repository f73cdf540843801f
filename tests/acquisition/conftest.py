"""Small pools with real measures of drawn distributions."""

import numpy as np
import pytest

from activelora.acquisition.registry import get_strategy, own_settings
from activelora.acquisition.strategy import GRADIENT_LENGTH, ScoredPool, SelectionContext
from activelora.config import AcquisitionConfig
from activelora.uncertainty.gradient_length import expected_length, head_lengths
from activelora.uncertainty.measures import MEASURES

LABELS = ("entity", "human", "number", "place")


def drawn_probs(seed, num_items, num_classes=4):
    return np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_items)


def drawn_embeddings(seed, num_items=40, num_features=5):
    return np.random.default_rng(seed).normal(0.5, 1.0, (num_items, num_features)).astype(np.float32)


def pool_of(
    log_probs_NKC,
    base_NKC=None,
    label_names=LABELS,
    embeddings_ND=None,
    labeled_LD=None,
    labeled_LC=None,
    labeled_L=None,
):
    """The pool as select_batch builds it, from samples under adapter and base model, and embeddings."""
    base_NKC = log_probs_NKC if base_NKC is None else base_NKC
    embeddings_ND = drawn_embeddings(100, len(log_probs_NKC)) if embeddings_ND is None else embeddings_ND
    labeled_LD = embeddings_ND[:0] if labeled_LD is None else labeled_LD
    probs_NC = np.exp(log_probs_NKC).mean(axis=1)
    lengths_N = expected_length(probs_NC, head_lengths(probs_NC, np.linalg.norm(embeddings_ND, axis=1)))
    return ScoredPool(
        item_ids=tuple(f"item-{index:04d}" for index in range(len(log_probs_NKC))),
        measures={
            **{name: function(log_probs_NKC) for name, function in MEASURES.items()},
            GRADIENT_LENGTH: lengths_N,
        },
        base_measures={name: function(base_NKC) for name, function in MEASURES.items()},
        mean_probs_NC=probs_NC,
        label_names=label_names,
        log_probs_NKC=log_probs_NKC,
        embeddings_ND=embeddings_ND,
        labeled_embeddings_LD=labeled_LD,
        labeled_probs_LC=drawn_probs(5, len(labeled_LD), probs_NC.shape[1]) if labeled_LC is None else labeled_LC,
        labeled_answers_L=np.arange(len(labeled_LD)) % probs_NC.shape[1] if labeled_L is None else labeled_L,
    )


def drawn_log_probs(seed, num_items=40, num_samples=6, num_classes=4, spread=2.0):
    logits = np.random.default_rng(seed).normal(0, spread, (num_items, num_samples, num_classes))
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def permuted(pool, order):
    return ScoredPool(
        item_ids=tuple(pool.item_ids[index] for index in order),
        measures={name: scores_N[order] for name, scores_N in pool.measures.items()},
        base_measures={name: scores_N[order] for name, scores_N in pool.base_measures.items()},
        mean_probs_NC=pool.mean_probs_NC[order],
        label_names=pool.label_names,
        log_probs_NKC=pool.log_probs_NKC[order],
        embeddings_ND=pool.embeddings_ND[order],
        labeled_embeddings_LD=pool.labeled_embeddings_LD,
        labeled_probs_LC=pool.labeled_probs_LC,
        labeled_answers_L=pool.labeled_answers_L,
    )


def context_of(strategy="star", *, seed=7, round_=2, num_rounds=5, **options):
    """Options of the strategy's own, and settings of the section `acquisition`."""
    chosen = get_strategy(strategy)
    fields = chosen.settings.model_fields if chosen.settings else {}
    own = {name: options.pop(name) for name in list(options) if name in fields}
    config = AcquisitionConfig(strategy=strategy, **options, **({strategy: own} if own else {}))
    follower = get_strategy(config.hybrid.then) if strategy == "hybrid" else None
    return SelectionContext(seed, round_, num_rounds, config, follower, own_settings(chosen, config))


def ids_of(pool, picks):
    return [pool.item_ids[pick.index] for pick in picks]


@pytest.fixture
def pool():
    return pool_of(drawn_log_probs(0), drawn_log_probs(1, num_samples=1))


@pytest.fixture
def labeled_pool():
    """The pool, and six items that have a label already."""
    return pool_of(drawn_log_probs(0), drawn_log_probs(1, num_samples=1), labeled_LD=drawn_embeddings(200, 6))
