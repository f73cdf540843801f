#!/usr/bin/env bash
# A data set with class labels writes numbers without their names.
#
# datasets 5.2.0 (https://github.com/huggingface/datasets), pandas 3.1, features.ClassLabel.
# A data set whose labels are the names `spam` and `ham` is written as CSV, JSON lines and Parquet. All three hold 0 and 1.
# CSV and JSON say nowhere which is which; loaded again by datasets itself, the column is a plain integer. Parquet keeps
# the names in metadata of its own, which datasets reads and pandas.read_parquet does not. Whoever lists the labels in
# another order (alphabetically, say: ham, spam) trains on swapped labels, and nothing tells.
source "$(dirname "$0")/lib.sh"
environment datasets==5.2.0 pandas==3.1.0
program_prints "csv:     buy now,0 / see you at six,1
json:    {\"text\":\"buy now\",\"label\":0} / {\"text\":\"see you at six\",\"label\":1}
json loaded by datasets: Value('int64')
parquet loaded by pandas: [0, 1]
parquet loaded by datasets: ClassLabel(names=['spam', 'ham'])" <<'PYTHON'
from pathlib import Path

import pandas as pd
from datasets import ClassLabel, Dataset, Features, Value, disable_progress_bars

disable_progress_bars()
features = Features({"text": Value("string"), "label": ClassLabel(names=["spam", "ham"])})
data = Dataset.from_dict({"text": ["buy now", "see you at six"], "label": ["spam", "ham"]}, features=features)
data.to_csv("data.csv")
data.to_json("data.jsonl")
data.to_parquet("data.parquet")
print("> csv:    ", " / ".join(Path("data.csv").read_text().split("\n")[1:3]))
print("> json:   ", " / ".join(Path("data.jsonl").read_text().split("\n")[:2]))
print("> json loaded by datasets:", Dataset.from_json("data.jsonl").features["label"])
print("> parquet loaded by pandas:", pd.read_parquet("data.parquet")["label"].tolist())
print("> parquet loaded by datasets:", Dataset.from_parquet("data.parquet").features["label"])
PYTHON
