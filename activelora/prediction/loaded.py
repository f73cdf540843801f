"""A model in memory that answers rows.

Letters: N items, C answers or labels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import finalize

from activelora.campaign.records import Item
from activelora.errors import ActiveLoRAError
from activelora.formats.row import Row, Wanted
from activelora.kinds.registry import make_task
from activelora.prediction.answers import Answer, Shown, answer_columns, answers_of, scaled, written_answers
from activelora.prediction.base_files import check_base
from activelora.prediction.bundle import Bundle
from activelora.prediction.review import NO_THRESHOLDS, Reviewer, SetMaker, Thresholds
from activelora.prediction.rows import ItemMaker, refuse_problems
from activelora.scoring import averaged

if TYPE_CHECKING:
    from activelora.evaluation.classification_metrics import FloatArray
    from activelora.scoring.predict import Predictor

logger = logging.getLogger(__name__)


class LoadedModel:
    """One round's model, ready to answer. Made by :meth:`load`; one thread at a time may ask it.

    Attributes:
        bundle: What was loaded.
        task: Its task.
        num_samples: Posterior samples that are averaged; 0 is the posterior's mean.
        thresholds: What is asked of answers that stand alone, where nobody says otherwise.
    """

    def __init__(self, bundle: Bundle, predictor: Predictor, num_samples: int, thresholds: Thresholds) -> None:
        self.bundle = bundle
        self.task = make_task(bundle.config.task)
        self.num_samples = num_samples
        self.thresholds = thresholds
        self._predictor = predictor
        self._items = ItemMaker(bundle.config, self.task)
        self._sets = SetMaker(bundle.readings, self.task)
        self._reviewer = self.reviewer_of(thresholds)

    @classmethod
    @contextmanager
    def load(
        cls,
        bundle: Bundle,
        num_samples: int | None = None,
        thresholds: Thresholds = NO_THRESHOLDS,
        *,
        caches_prefixes: bool = False,
    ) -> Iterator[LoadedModel]:
        """Load a model, with a base model of its own.

        Args:
            bundle: The model.
            num_samples: Posterior samples to average; None are as many as the evaluation used, 0 is the mean.
            thresholds: What is asked of answers that stand alone.
            caches_prefixes: Whether what prompts begin with is kept in memory for the next rows. Small batches are much
                faster so; the last digits then depend on what was asked before.

        Raises:
            ModelError: The base model cannot be loaded or is another one, or the model knows no such thresholds.
        """
        from activelora.modeling.base import load_own_base
        from activelora.scoring.batch_cache import BatchCache
        from activelora.scoring.predict import Predictor

        samples = bundle.config.evaluation.num_samples if num_samples is None else num_samples
        check_base(bundle)
        base = load_own_base(bundle.config.model)  # two models, of two rounds say, may be open at once
        check_base(bundle)  # again, as it may have been fetched just now
        with ExitStack() as stack:
            loaded = stack.enter_context(Predictor.of(bundle.config, bundle.adapter, bundle.mask_seed, base))
            predictor = stack.enter_context(loaded.caching(BatchCache(prefixes=caches_prefixes)))
            model = cls(bundle, predictor, samples, thresholds)
            finalize(model, stack.close)  # of what is open when the process ends, while there still is all it needs
            yield model

    def sampled(self, num_samples: int | None) -> LoadedModel:
        """Return the same model that averages another number of posterior samples; None is its own number."""
        if num_samples is None or num_samples == self.num_samples:
            return self
        return LoadedModel(self.bundle, self._predictor, num_samples, self.thresholds)

    @property
    def wanted(self) -> Wanted:
        """The columns of a row, as readers of tables take them."""
        return self._items.wanted

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have."""
        return self.wanted.required

    def answer_columns(self, *, probabilities: bool = False) -> tuple[str, ...]:
        """Return the columns of :meth:`Answer.row` that are filled."""
        return answer_columns(self.task, prediction_sets=bool(self._sets), probabilities=probabilities)

    def predict(
        self,
        rows: Sequence[Row | Mapping[str, Any]],
        *,
        thresholds: Thresholds | None = None,
        probabilities: bool = False,
        strict: bool = True,
        description: str = "predicting",
    ) -> list[Answer]:
        """Return an answer for each row.

        Args:
            rows: Column to value; columns beside those of the prompt play no part.
            thresholds: What is asked of answers that stand alone; None is :attr:`thresholds`.
            probabilities: Whether each label's probability is wanted.
            strict: Whether a row that cannot be asked about is an error; else its answer says why and is for review.
            description: Text of the progress display.

        Raises:
            ProblemsError: Rows lack columns or hold what is no text.
            ModelError: The model's numbers are none, or it knows no such thresholds.
        """
        reviewer = self._reviewer if thresholds is None else self.reviewer_of(thresholds)
        found = self._items.items(rows)
        items = refuse_problems(found) if strict else [item for item in found if isinstance(item, Item)]
        answers = iter(self._answers(items, probabilities, description) if items else [])
        made = [
            Answer(None, problem=str(item)) if isinstance(item, ActiveLoRAError) else next(answers) for item in found
        ]
        return [replace(answer, review=reviewer.needs_review(answer)) for answer in made]

    @property
    def review_rule(self) -> str:
        """Which answers are for review, in words, where nobody asks otherwise."""
        return self._reviewer.rule

    def reviewer_of(self, thresholds: Thresholds) -> Reviewer:
        """Return who marks answers for review.

        Args:
            thresholds: What is asked of answers that stand alone.

        Raises:
            ModelError: The model knows no such thresholds.
        """
        own_risk = self.bundle.config.evaluation.abstention.max_risk
        has_probability = self.task.values is None
        return Reviewer(self.bundle.readings, thresholds, own_risk, has_probability=has_probability, where=self._where)

    @property
    def _where(self) -> str:
        return str(self.bundle.provenance.get("campaign") or self.bundle.folder)

    def log_probs(self, items: Sequence[Item], description: str = "predicting") -> FloatArray:
        """Return log-probabilities of the answers, shape (N, C), averaged over samples, before the temperature.

        Args:
            items: N items.
            description: Text of the progress display.

        Raises:
            ModelError: The model's numbers are none.
        """
        said_NKC = averaged.log_probs(
            self._predictor, items, self.num_samples, where=self._where, description=description
        )
        return averaged.over_samples(said_NKC, self.bundle.readings.prior)

    def _answers(self, items: Sequence[Item], probabilities: bool, description: str) -> list[Answer]:
        if self.task.kind.writes:
            return written_answers(*averaged.written(self._predictor, items, self.num_samples, description))
        readings = self.bundle.readings
        log_probs_NC = self.log_probs(items, description)
        probs_NC = scaled(self.task, log_probs_NC, readings.scale)
        shown = Shown(readings.scale, self.bundle.config.evaluation.confidence_level, probabilities)
        return self._sets.add(items, answers_of(self.task, items, probs_NC, shown), probs_NC)
