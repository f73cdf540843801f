"""What the tests of the model matrix run: the product's own ways, and plain transformers beside them.

Letters: N items, C answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, CampaignConfig, ConstraintConfig, TaskConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import Encoder
from activelora.modeling.fast_paths import FastPaths
from activelora.modeling.sampling import Sampler
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from activelora.scoring.engine import Engine
from tests.modeling.matrix import LAYERS, Family

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTIONS = "What does the word mean ? Who wrote the play ? "
"""With the question more tokens than a window."""
TEXTS = ("How far is the moon from the earth ?", "Where is", "What does the word mean ? and where is the river ?")
ITEMS = [Item(f"item-{index}", {"text": text}) for index, text in enumerate(TEXTS)]
TASKS = (
    TaskConfig(prompt=INSTRUCTIONS + "{text}", labels=("description", "human", "number"), chat_template="never"),
    TaskConfig(
        prompt=INSTRUCTIONS + "{text}",
        labels=("blue water", "blue fire", "the moon is far"),
        answer="text",
        chat_template="never",
    ),
)
CAMPAIGN = CampaignConfig.model_validate(
    {"name": "matrix", "task": {"prompt": "{text}", "labels": ["yes", "no"]}, "data": {"pool": {"path": "pool.jsonl"}}}
)
TOLERANCE = 1e-3
"""Nats."""
LAST = LAYERS - 1
"""Adapted layers: an odd number of frozen ones puts layers of one kind in the place of another, if numbers shift."""
STEPS = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=1, learning_rate=5e-2, batch_size=2)


def base_of(family: Family, tokenizer: PreTrainedTokenizerBase, model: Any) -> BaseModel:
    """Return a tiny model as loading would, with the ways to save time that the table says."""
    paths = FastPaths(**dict.fromkeys(family.off, False))
    return BaseModel(family.name, model, tokenizer, torch.device("cpu"), paths)


def engine_s(
    base: BaseModel, encoder: Encoder, first_top_layer: int, sampler: Sampler, sample: int | None = None
) -> NDArray[np.float64]:
    """Return the product's log-probabilities under a sample, shape (N, C)."""
    engine = Engine(base, encoder, first_top_layer, batch_tokens=64)
    return engine.log_probs(ITEMS, sampler, [sample], "test")[:, 0]


@torch.no_grad()
def transformers_s(model: Any, encoder: Encoder, items: Sequence[Item] = ITEMS) -> NDArray[np.float64]:
    """Return what a model itself says, one text at a time, shape (N, C)."""
    rows = []
    for one in encoder.encode(items):
        scores = []
        for answer in one.answer_ids:
            ids = torch.tensor([[*one.prompt_ids, *answer]])
            log_probs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0].double(), dim=-1)
            begin = len(one.prompt_ids) - 1
            scores.append(sum(log_probs[begin + step, token].item() for step, token in enumerate(answer)))
        rows.append(scores)
    found = np.array(rows)
    return found - np.logaddexp.reduce(found, axis=1, keepdims=True)


def fit_twice(base: BaseModel, encoder: Encoder, config: AdapterConfig, folder: Path) -> None:
    """Train for a few steps, save, go on from what was saved, and save again."""
    labels = [2, 1, 0]
    examples = [example(one, label) for one, label in zip(encoder.encode(ITEMS), labels, strict=True)]
    for attempt in range(2):
        begun = lora.load(base, folder, trainable=True) if attempt else lora.attach(base, config, seed=3)
        with lora.attached(begun) as adapted:
            Trainer(base, PlainTrainee(adapted, ConstraintConfig(form="none")), examples, STEPS, seed=attempt).run(
                _none
            )
            lora.save(adapted, folder)


def _none() -> None:
    """Keep no checkpoint."""
