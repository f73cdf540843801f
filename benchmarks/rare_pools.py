"""Two pools in which few items have the label that counts: 2 % made from CLINC150, 5 % from TREC-6.

    python -m benchmarks.rare_pools --data FOLDER --out FOLDER

Writes, for each, `NAME/pool.jsonl`, `NAME/holdout.jsonl` and `NAME/campaign.yaml`; the same files from the same data,
whatever the order of their rows. A text stands once, in the pool or in the holdout. The pool has the rare label at the
share that is said. The holdout has it more often (a quarter), so that at least 100 items have it and average precision
and recall are measured to a few points; both shares are written down. A pool whose holdout would have fewer is not
made, and the reason is printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.seeding import item_draw

LEAST_POSITIVES = 100
SEED = 16
Row = dict[str, Any]


@dataclass(frozen=True)
class RarePool:
    """How a pool is made.

    Attributes:
        name: Its folder.
        source: The data set's folder.
        field: The field of its rows that tells what is rare.
        positives: The values of that field that count.
        prompt: The question; answers are `yes` and `no`.
        num_pool: Items of the pool.
        share: Share of them that are positive.
        num_holdout: Items of the holdout, of which a quarter is positive.
    """

    name: str
    source: str
    field: str
    positives: tuple[str, ...]
    prompt: str
    num_pool: int
    share: float
    num_holdout: int = 480

    @property
    def num_positive(self) -> int:
        """Positive items of the pool."""
        return round(self.num_pool * self.share)


POOLS = (
    RarePool(
        "clinc150-rare",
        "clinc150",
        "label_name",
        ("damaged_card", "report_fraud", "report_lost_card"),
        "Is this request about a lost, stolen, damaged or misused card?\nRequest: {text}\nAnswer:",
        num_pool=2000,
        share=0.02,
    ),
    RarePool(
        "trec6-rare",
        "trec6",
        "label_name",
        ("location",),
        "Does this question ask for a place?\nQuestion: {text}\nAnswer:",
        num_pool=1600,
        share=0.05,
    ),
)
_CAMPAIGN = """# {percent:g} % of the pool are positive ({num_positive} of {num_pool}),
# {holdout_percent:.0f} % of the holdout ({num_holdout_positive} of {num_holdout}).
# Made by `python -m benchmarks.rare_pools`.
name: {name}
seed: 0
task:
  kind: classification
  prompt: {prompt}
  labels: ["no", "yes"]
  chat_template: never
  max_prompt_tokens: 96
data:
  pool:
    path: pool.jsonl
  holdout:
    path: holdout.jsonl
model:
  base: smollm2-135m-instruct
adapter:
  last_layers: 4
acquisition:
  strategy: rare_class
  batch_size: 25
  rare_class:
    label: "yes"
labeling:
  source: oracle
evaluation:
  primary: average_precision
  positive_label: "yes"
stopping:
  max_rounds: 6
"""


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a data set's parts that have a label, one for each text, in an order that is drawn once."""
    parts = [folder / f"{part}.jsonl" for part in ("train", "validation", "test")]
    lines = [line for part in parts if part.exists() for line in part.read_text(encoding="utf-8").splitlines()]
    rows = sorted(map(json.loads, lines), key=lambda row: str(row["id"]))
    by_text = {" ".join(str(row["text"]).lower().split()): row for row in reversed(rows)}
    return sorted(by_text.values(), key=lambda row: (item_draw(SEED, str(row["id"])), row["id"]))


def split(pool: RarePool, rows: Iterable[Row]) -> tuple[list[Row], list[Row]] | str:
    """Return the rows of pool and holdout, each with `label` yes or no; or why there are too few.

    Args:
        pool: How it is made.
        rows: What it is made from.
    """
    positive: list[Row] = []
    negative: list[Row] = []
    for row in rows:
        rare = row[pool.field] in pool.positives
        made = {"id": row["id"], "text": row["text"], "label": "yes" if rare else "no", "was": row[pool.field]}
        (positive if rare else negative).append(made)
    num_holdout_positive = min(pool.num_holdout // 4, len(positive) - pool.num_positive)
    if num_holdout_positive < LEAST_POSITIVES:
        left = max(num_holdout_positive, 0)
        return f"{left} positive items are left for the holdout, and fewer than {LEAST_POSITIVES} tell too little"
    num_negative = pool.num_holdout - num_holdout_positive
    needed = pool.num_pool - pool.num_positive + num_negative
    if len(negative) < needed:
        return f"there are {len(negative)} other items, and {needed} are needed"
    holdout = positive[:num_holdout_positive] + negative[:num_negative]
    chosen = positive[num_holdout_positive:][: pool.num_positive] + negative[num_negative:needed]
    return _shuffled(chosen), _shuffled(holdout)


def _shuffled(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: item_draw(SEED + 1, str(row["id"])))


def campaign_text(pool: RarePool, holdout: Sequence[Row]) -> str:
    """Return the campaign file."""
    num_positive = sum(row["label"] == "yes" for row in holdout)
    return _CAMPAIGN.format(
        percent=100 * pool.share,
        num_positive=pool.num_positive,
        num_pool=pool.num_pool,
        holdout_percent=100 * num_positive / len(holdout),
        num_holdout_positive=num_positive,
        num_holdout=len(holdout),
        name=pool.name,
        prompt=json.dumps(pool.prompt),
    )


def make(data: Path, out: Path, pools: Sequence[RarePool] = POOLS) -> list[str]:
    """Write the pools; return a sentence for each.

    Args:
        data: The folder of the data sets.
        out: Where each pool gets a folder.
        pools: Which to make.
    """
    said = []
    for pool in pools:
        found = split(pool, read_rows(data / pool.source))
        if isinstance(found, str):
            said.append(f"{pool.name} is not made: {found}.")
            continue
        folder = out / pool.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in zip(("pool", "holdout"), found, strict=True):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        (folder / "campaign.yaml").write_text(campaign_text(pool, found[1]), encoding="utf-8")
        num_rare = sum(row["label"] == "yes" for row in found[1])
        said.append(
            f"{pool.name}: {pool.num_positive} of {pool.num_pool} items of the pool are positive ({pool.share:.0%}), "
            f"and {num_rare} of {len(found[1])} of the holdout ({num_rare / len(found[1]):.0%})."
        )
    return said


def main() -> None:
    """Make the pools."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rare_pools", description="Pools with a rare label.")
    parser.add_argument("--data", type=Path, required=True, help="folder with clinc150/ and trec6/")
    parser.add_argument("--out", type=Path, required=True, help="where the pools are written")
    options = parser.parse_args()
    print("\n".join(make(options.data, options.out)))


if __name__ == "__main__":
    main()
