"""Predictions of a round's model: base model in round 0, base model with the round's adapter after that."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.length_limit import length_limit
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import AdapterMethod, Posterior, Prediction, Setting
from activelora.modeling.sampling import TOKEN_BY_TOKEN, NoAdapter, SampledPosterior, Sampler, sample_numbers
from activelora.modeling.trunk_states import trunk_state_cache
from activelora.registry import call, wrong_result
from activelora.scoring.batch_cache import BatchCache
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.drawing import DrawnAnswer, draw_answers
from activelora.scoring.engine import Engine
from activelora.scoring.texts import rescore, write_answers
from activelora.uncertainty.text_measures import TokenScores

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class Predictor:
    """Answer distributions of one round's model. Made by :meth:`load`.

    Args:
        engine: Runs the model.
        posterior: The distribution over adapters.
        method: The method that it is of; None where there is no adapter.
    """

    def __init__(self, engine: Engine, posterior: Posterior, method: AdapterMethod | None = None) -> None:
        self._engine = engine
        self._posterior = posterior
        self._method = method

    @classmethod
    @contextmanager
    def load(cls, campaign: Campaign, round_: int) -> Iterator[Predictor]:
        """Load the model of a round; the base model is given back unchanged at the end.

        Args:
            campaign: The campaign.
            round_: 0 for the base model; else the round's train_adapter must be done.
        """
        seed = campaign.seed("mask", round_)
        with _adapter(campaign, round_) as folder, cls.of(campaign.config, folder, seed) as predictor:
            yield predictor

    @classmethod
    @contextmanager
    def of(
        cls, config: CampaignConfig, adapter: Path | None, mask_seed: int, base: BaseModel | None = None
    ) -> Iterator[Predictor]:
        """Load a model from its settings and its adapter, wherever they came from.

        Args:
            config: The settings; of them, those of task, model, adapter, scoring and the cache of trunk states.
            adapter: The folder that the adapter method wrote; None for the base model alone.
            mask_seed: Seed of the posterior's samples.
            base: The base model; None is the one that the steps of a process share.
        """
        base = base or load_base(config.model)
        encoder = Encoder(base.tokenizer, config.task, length_limit(base.model.config))
        first_top_layer = lora.first_adapted_layer(base.model, config.adapter)
        trunk_cache = trunk_state_cache(config.resources.trunk_cache_gb)
        tokens, embedding = batch_tokens(config.scoring, base), config.scoring.embedding
        if adapter is None:
            engine = Engine(base, encoder, first_top_layer, tokens, trunk_cache, embedding)
            yield cls(engine, SampledPosterior(NoAdapter()))
        else:
            method = get_method(config.adapter.method)
            with method.load(adapter, Setting(base, encoder, config, mask_seed)) as posterior:
                engine = Engine(base, encoder, first_top_layer, tokens, trunk_cache, embedding)
                yield cls(engine, posterior, method)
        if encoder.num_cut:
            logger.warning("%d prompts were longer than task.max_prompt_tokens and were cut", encoder.num_cut)

    def among(self, all_items: Sequence[Item]) -> Predictor:
        """Return a predictor for items that are some of these: :meth:`activelora.scoring.engine.Engine.among`."""
        return Predictor(self._engine.among(all_items), self._posterior, self._method)

    def of_differences(self) -> Predictor:
        """Return a predictor whose embeddings are :meth:`activelora.scoring.engine.Engine.of_differences`."""
        return Predictor(self._engine.of_differences(), self._posterior, self._method)

    @contextmanager
    def caching(self, batch_cache: BatchCache) -> Iterator[Predictor]:
        """Return a predictor for many small batches, until it is left; nothing else may use the model meanwhile.

        It leaves a sample in effect, and may keep the keys and values of shared prefixes. Posteriors whose samples are
        no fixed weights are asked as ever, and so are all where answers are read against the base model.

        Args:
            batch_cache: Holds what is kept.
        """
        own = type(self._posterior) is SampledPosterior and isinstance(self._posterior.sampler, TOKEN_BY_TOKEN)
        own = own and self._engine.encoder.beta is None  # the base model is asked too, between two batches
        if not own:
            yield self
            return
        try:
            yield Predictor(self._engine.caching(batch_cache), self._posterior, self._method)
        finally:
            batch_cache.close()

    def log_probs(
        self, items: Sequence[Item], num_samples: int, description: str = "predicting"
    ) -> NDArray[np.float64]:
        """Return log p(answer | item) under K posterior samples.

        Args:
            items: N items.
            num_samples: K. 0 is the best single prediction without sampling, in one sample.
            description: Text of the progress display.

        Returns:
            Shape (N, K, C), natural logarithms; −inf where an item has fewer than C answers. For label sets
            (N, K, C, 2): no and yes to each of C labels. K is 1 for ``num_samples`` 0, and the number of different
            samples where the method has fewer.
        """
        found = self._predict(items, num_samples, description, with_embeddings=False)
        return self._by_item(found.log_probs_NKC, len(items))

    def log_probs_and_embeddings(
        self, items: Sequence[Item], num_samples: int, description: str = "predicting"
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return :meth:`log_probs` and, from the same pass, embeddings_ND: mean-pooled last hidden states.

        The mean is over the tokens that `scoring.embedding` names, over the samples, and over an item's questions.
        """
        prediction = self._predict(items, num_samples, description, with_embeddings=True)
        if prediction.embeddings_ND is None:
            raise TypeError("the adapter method returned no embeddings, which were wanted")
        embeddings_ND = prediction.embeddings_ND
        if (rows := self._engine.encoder.rows_per_item) > 1:
            embeddings_ND = embeddings_ND.reshape(len(items), rows, -1).mean(axis=1)
        return self._by_item(prediction.log_probs_NKC, len(items)), embeddings_ND

    def write_answers(self, items: Sequence[Item], description: str = "writing answers") -> list[tuple[int, ...]]:
        """Return the model's own greedy answers as token ids, by the adapter without dropout."""
        max_tokens = self._engine.encoder.task_config.max_answer_tokens
        sampler = self._sampler()
        return self._blaming("activate", lambda: write_answers(self._engine, items, sampler, max_tokens, description))

    def draw_answers(
        self, items: Sequence[Item], num_samples: int, seed: int, description: str = "drawing answers"
    ) -> list[list[DrawnAnswer]]:
        """Return K answers to each item, each drawn token by token from a sample of the posterior.

        Args:
            items: N items.
            num_samples: K; of the base model, K draws from the one model.
            seed: Seed of the draws. They depend on an item's id, not on its place.
            description: Text of the progress display.
        """
        max_tokens = self._engine.encoder.task_config.max_answer_tokens
        sampler = self._sampler()
        samples = None if isinstance(sampler, NoAdapter) else sample_numbers(sampler, num_samples)

        def draw() -> list[list[DrawnAnswer]]:
            numbers = [None] * num_samples if samples is None else samples
            return draw_answers(self._engine, items, sampler, numbers, max_tokens, seed, description)

        return self._blaming("activate", draw)

    def rescore(
        self,
        items: Sequence[Item],
        answers: Sequence[tuple[int, ...]],
        num_samples: int,
        description: str = "scoring answers",
    ) -> tuple[list[TokenScores], NDArray[np.float32]]:
        """Return what K samples say about a text of each item, token by token, and embeddings_ND of the prompts.

        Args:
            items: N items.
            answers: Their texts as token ids: the model's own, or gold ones by :meth:`encode_text`.
            num_samples: K. 0 is the model without dropout, in one sample.
            description: Text of the progress display.
        """
        sampler = self._sampler()
        samples = sample_numbers(sampler, num_samples)
        return self._blaming("activate", lambda: rescore(self._engine, items, answers, sampler, samples, description))

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Return an answer as token ids, with its end."""
        return self._engine.encoder.encode_text(text)

    def decode_text(self, ids: tuple[int, ...]) -> str:
        """Return token ids as an answer."""
        return self._engine.encoder.decode_text(ids)

    def _by_item(self, log_probs_MKC: NDArray[np.float64], num_items: int) -> NDArray[np.float64]:
        """Return the rows as they are or, for label sets, grouped by item."""
        if not self._engine.encoder.task.kind.asks_each_label:
            return log_probs_MKC
        return log_probs_MKC.reshape(num_items, -1, *log_probs_MKC.shape[1:]).transpose(0, 2, 1, 3)

    def _predict(
        self, items: Sequence[Item], num_samples: int, description: str, *, with_embeddings: bool
    ) -> Prediction:
        """Return what the posterior answers; a method of another package that returns something else is told."""

        def predict() -> Prediction:
            found = self._posterior.predict(self._engine, items, num_samples, with_embeddings, description)
            if self._method is not None:
                _check(self._method, found, len(items) * self._engine.encoder.rows_per_item, with_embeddings)
            return found

        return self._blaming("predict", predict)

    def _blaming(self, what: str, function: Callable[[], Result]) -> Result:
        """Call what calls the adapter method: see :func:`activelora.registry.call`."""
        return function() if self._method is None else call(self._method, what, function)

    def _sampler(self) -> Sampler:
        if not isinstance(self._posterior, SampledPosterior):
            raise ModelError(
                "this adapter method cannot write answers: its samples are no weights that a model could run with",
                where="adapter.method",
                remedy="Use `lora` for generation.",
            )
        return self._posterior.sampler


@contextmanager
def _adapter(campaign: Campaign, round_: int) -> Iterator[Path | None]:
    """Fetch what the round's training wrote; None for round 0, which has no adapter."""
    if round_ == 0:
        yield None
        return
    manifest = campaign.require(Unit("train_adapter", round_))
    with tempfile.TemporaryDirectory() as folder:
        yield campaign.download_folder(manifest, "adapter", Path(folder))


def _check(method: AdapterMethod, found: object, num_rows: int, with_embeddings: bool) -> None:
    """Refuse a prediction that is none, or not one of these rows."""
    if not isinstance(found, Prediction):
        raise wrong_result(method, "predict", found)
    arrays = (found.log_probs_NKC, found.embeddings_ND) if with_embeddings else (found.log_probs_NKC,)
    for array, name in zip(arrays, ("log_probs_NKC", "embeddings_ND"), strict=False):
        is_array = isinstance(array, np.ndarray) and len(array.shape) == len(name.rpartition("_")[2])
        if array is None or not is_array or len(array) != num_rows:
            raise wrong_result(method, f"predict: {name}", array)
