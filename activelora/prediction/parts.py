"""A table answered by several workers at once: each writes parts of its own into one folder.

A chunk of the table is an object ``part-00012.jsonl``, whoever answers it. What is there is not done again, so that a
run can be killed and begun again, also with another number of workers.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict, dataclass
from typing import Any

from activelora import __version__
from activelora.campaign.store import Store
from activelora.errors import DataError
from activelora.prediction import inputs
from activelora.prediction.answers import Answer
from activelora.prediction.bundle import Bundle
from activelora.prediction.inputs import LostRows, TableSource, chunks_of
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds
from activelora.prediction.table import all_columns, answer_names, check_columns, items_of
from activelora.prediction.writers import json_lines

SETTINGS_KEY = "settings"
"""What the parts were made with; its name has no ending, so that readers of the folder pass it over."""
_PART = re.compile(r"part-(\d{5,})\.jsonl")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartsRequest:
    """What all workers are told.

    Attributes:
        table: URI of the table.
        out: URI of the folder.
        round: The round whose model answers.
        num_parts: Number of workers.
        samples: Posterior samples; None as the evaluation.
        min_confidence: Smallest probability of answers that stand alone.
        max_risk: Largest share of wrong ones among them.
        probabilities: Whether each label's probability is wanted.
        prefix: Text that the names of the answers' columns begin with.
    """

    table: str
    out: str
    round: int
    num_parts: int
    samples: int | None = None
    min_confidence: float | None = None
    max_risk: float | None = None
    probabilities: bool = False
    prefix: str = ""

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, text: str) -> PartsRequest:
        """Read what :meth:`text` returns."""
        return cls(**json.loads(text))

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds as models take them."""
        return Thresholds(self.min_confidence, self.max_risk)


def answer_parts(bundle: Bundle, store: Store, request: PartsRequest, worker: int) -> int:
    """Answer one worker's share of a table, as far as it is not there, and return how many rows that were.

    Args:
        bundle: The model.
        store: The folder.
        request: What all workers are told.
        worker: Number of this one, from 0.

    Raises:
        DataError: The table lacks columns, or the folder holds answers of other settings.
    """
    source, lost, items = TableSource(request.table), LostRows(), items_of(bundle)
    _bind(store, bundle, source, request)
    done = {int(match[1]) for key in store.list("part-") if (match := _PART.fullmatch(key))}
    names = answer_names(bundle, probabilities=request.probabilities, prefix=request.prefix)
    num_rows = num_chunks = 0
    with LoadedModel.load(bundle, request.samples, request.thresholds) as model:
        for number, chunk in enumerate(chunks_of(source.rows(items.wanted, lost))):
            num_chunks += 1
            if not number:
                check_columns(chunk[0], items.wanted)
                all_columns(chunk, names)
            if number % request.num_parts != worker or number in done:
                continue
            said = model.predict(chunk, probabilities=request.probabilities, strict=False, description=f"part {number}")
            rows = [{**row.values, **_columns(answer, names)} for row, answer in zip(chunk, said, strict=True)]
            store.write(f"part-{number:05d}.jsonl", json_lines(rows, frozenset(names.values())))
            num_rows += len(rows)
            logger.info("part %d: %d rows, %d of them for review", number, len(rows), sum(one.review for one in said))
    if not num_chunks:
        lost.refuse()
        raise DataError("there are no rows", where=source.name)
    for problem in lost.first:
        logger.warning("%s", problem)
    if lost.count:
        logger.warning("rows that could not be read, and are not in the output: %d", lost.count)
    return num_rows


def _columns(answer: Answer, names: dict[str, str]) -> dict[str, Any]:
    found = answer.row()
    return {name: found[key] for key, name in names.items()}


def _bind(store: Store, bundle: Bundle, source: TableSource, request: PartsRequest) -> None:
    """Bind the folder to what is answered by what; the first worker does it for all.

    Raises:
        DataError: It holds answers of other settings.
    """
    settings: dict[str, Any] = {
        "the input": source.digest(),
        "the model": bundle.digest,
        "--samples": request.samples,
        "--min-confidence": request.min_confidence,
        "--max-risk": request.max_risk,
        "--probabilities": request.probabilities,
        "--prefix": request.prefix,
        "the version": __version__,
        "rows a chunk": inputs.CHUNK_ROWS,
    }
    if store.create(SETTINGS_KEY, json.dumps(settings, indent=1).encode()):
        return
    try:
        found = dict(json.loads(store.read(SETTINGS_KEY)))
    except (ValueError, TypeError):
        found = {}
    if differing := [name for name, value in settings.items() if found.get(name) != value]:
        raise DataError(
            f"the folder holds answers of other settings, which differ in: {', '.join(differing)}",
            where=store.uri,
            remedy="Name another folder, or empty this one.",
        )
