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
from activelora.modeling import lora
from activelora.modeling.base import load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import Posterior, Setting
from activelora.modeling.sampling import NoAdapter, SampledPosterior
from activelora.scoring.engine import Engine

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
        if round_ == 0:
            engine = Engine(base, encoder, first_top_layer, config.scoring.batch_tokens)
            yield cls(engine, SampledPosterior(NoAdapter()))
        else:
            setting = Setting(base, encoder, config, campaign.seed("mask", round_))
            with _posterior(campaign, round_, setting) as posterior:
                engine = Engine(base, encoder, first_top_layer, config.scoring.batch_tokens)
                yield cls(engine, posterior)
        if encoder.num_cut:
            logger.warning("%d prompts were longer than task.max_prompt_tokens and were cut", encoder.num_cut)

    def log_probs(
        self, items: Sequence[Item], num_samples: int, description: str = "predicting"
    ) -> NDArray[np.float64]:
        """Return log p(answer | item) under K posterior samples.

        Args:
            items: N items.
            num_samples: K. 0 is the best single prediction without sampling, in one sample.
            description: For the progress display.

        Returns:
            Shape (N, K, C), natural logarithms; −inf where an item has fewer than C answers. K is 1 for
            ``num_samples`` 0, and the number of different samples where the method has fewer.
        """
        return self._posterior.predict(self._engine, items, num_samples, False, description).log_probs_NKC

    def log_probs_and_embeddings(
        self, items: Sequence[Item], num_samples: int, description: str = "predicting"
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return :meth:`log_probs` and, from the same pass, embeddings_ND: mean-pooled last hidden states.

        The mean is over the prompt's tokens and over the samples.
        """
        prediction = self._posterior.predict(self._engine, items, num_samples, True, description)
        if prediction.embeddings_ND is None:
            raise TypeError("the adapter method returned no embeddings, which were wanted")
        return prediction.log_probs_NKC, prediction.embeddings_ND


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
