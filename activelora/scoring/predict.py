"""Predictions of a round's model: base model in round 0, base model with the round's adapter after that."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.base import load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import Posterior, Setting
from activelora.modeling.sampling import NoAdapter, SampledPosterior, Sampler
from activelora.modeling.trunk_states import trunk_state_cache
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.engine import Engine
from activelora.scoring.texts import rescore, write_answers
from activelora.uncertainty.text_measures import TokenScores

logger = logging.getLogger(__name__)


class Predictor:
    """Answer distributions of one round's model. Made by :meth:`load`.

    Args:
        engine: Runs the model.
        posterior: The distribution over adapters.
    """

    def __init__(self, engine: Engine, posterior: Posterior) -> None:
        self._engine = engine
        self._posterior = posterior

    @classmethod
    @contextmanager
    def load(cls, campaign: Campaign, round_: int) -> Iterator[Predictor]:
        """Load the model of a round; the base model is given back unchanged at the end.

        Args:
            campaign: The campaign.
            round_: 0 for the base model; else the round's train_adapter must be done.
        """
        config = campaign.config
        base = load_base(config.model)
        encoder = Encoder(base.tokenizer, config.task)
        first_top_layer = lora.first_adapted_layer(base.model, config.adapter)
        trunk_cache = trunk_state_cache(config.resources.trunk_cache_gb)
        tokens = batch_tokens(config.scoring, base)
        if round_ == 0:
            engine = Engine(base, encoder, first_top_layer, tokens, trunk_cache)
            yield cls(engine, SampledPosterior(NoAdapter()))
        else:
            setting = Setting(base, encoder, config, campaign.seed("mask", round_))
            with _posterior(campaign, round_, setting) as posterior:
                engine = Engine(base, encoder, first_top_layer, tokens, trunk_cache)
                yield cls(engine, posterior)
        if encoder.num_cut:
            logger.warning("%d prompts were longer than task.max_prompt_tokens and were cut", encoder.num_cut)

    def among(self, all_items: Sequence[Item]) -> Predictor:
        """Return a predictor for items that are some of these: :meth:`activelora.scoring.engine.Engine.among`."""
        return Predictor(self._engine.among(all_items), self._posterior)

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
        found = self._posterior.predict(self._engine, items, num_samples, False, description)
        return self._by_item(found.log_probs_NKC, len(items))

    def log_probs_and_embeddings(
        self, items: Sequence[Item], num_samples: int, description: str = "predicting"
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return :meth:`log_probs` and, from the same pass, embeddings_ND: mean-pooled last hidden states.

        The mean is over the prompt's tokens and over the samples.
        """
        prediction = self._posterior.predict(self._engine, items, num_samples, True, description)
        if prediction.embeddings_ND is None:
            raise TypeError("the adapter method returned no embeddings, which were wanted")
        embeddings_ND = prediction.embeddings_ND
        if (rows := self._engine.encoder.rows_per_item) > 1:
            embeddings_ND = embeddings_ND.reshape(len(items), rows, -1).mean(axis=1)
        return self._by_item(prediction.log_probs_NKC, len(items)), embeddings_ND

    def write_answers(self, items: Sequence[Item], description: str = "writing answers") -> list[tuple[int, ...]]:
        """Return the model's own greedy answers as token ids, by the adapter without dropout."""
        max_tokens = self._engine.encoder.task_config.max_answer_tokens
        return write_answers(self._engine, items, self._sampler(), max_tokens, description)

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
        samples: list[int | None] = [None] if num_samples == 0 else list(range(num_samples))
        return rescore(self._engine, items, answers, self._sampler(), samples, description)

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

    def _sampler(self) -> Sampler:
        if not isinstance(self._posterior, SampledPosterior):
            raise ModelError(
                "this adapter method cannot write answers: its samples are no weights that a model could run with",
                where="adapter.method",
                remedy="Use `lora` for generation.",
            )
        return self._posterior.sampler


@contextmanager
def _posterior(campaign: Campaign, round_: int, setting: Setting) -> Iterator[Posterior]:
    """Load what the round's training wrote."""
    manifest = campaign.require(Unit("train_adapter", round_))
    implementation = get_method(campaign.config.adapter.method).implement()
    with (
        tempfile.TemporaryDirectory() as folder,
        implementation.load(campaign.download_folder(manifest, "adapter", Path(folder)), setting) as posterior,
    ):
        yield posterior
