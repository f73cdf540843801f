"""What a plain text classifier says of real questions that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from activelora.evaluation.classification_metrics import FloatArray, IntArray


def trec_predictions(shared_data: Path) -> tuple[FloatArray, IntArray]:
    """Return probs_NC and labels_N of 2,000 of TREC-6's questions, by a model of 400 other ones."""
    rows = [json.loads(line) for line in (shared_data / "trec6" / "train.jsonl").read_text().splitlines()]
    order = np.random.default_rng(0).permutation(len(rows))[:2400]
    texts, names = [rows[index]["text"] for index in order], np.array([str(rows[index]["label"]) for index in order])
    features = HashingVectorizer(n_features=2**14, ngram_range=(1, 2)).transform(texts)
    model = LogisticRegression(C=20.0, max_iter=300).fit(features[:400], names[:400])
    labels_N = np.searchsorted(model.classes_, names[400:])
    return np.asarray(model.predict_proba(features[400:]), dtype=np.float64), labels_N.astype(np.int64)
