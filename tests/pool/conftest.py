import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activelora.rules.file import checked_config

TASK = {"kind": "classification", "labels": ["sport", "politics", "science"], "prompt": "{text}\nTopic:"}
CHOICE_TASK = {"kind": "multiple_choice", "answer": "text", "prompt": "{question}\nAnswer:"}


@pytest.fixture
def make_config(tmp_path):
    """Settings whose data folder is the test's own; keywords replace parts of the data section."""

    def make(task=TASK, source="oracle", seed=0, **data):
        data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 4, **data}
        document = {
            "name": "test",
            "seed": seed,
            "task": task,
            "data": data,
            "labeling": {"source": source},
            "acquisition": {"batch_size": 1},
        }
        return checked_config(document, where="test.yaml")

    return make


def rows(number, start=0):
    labels = TASK["labels"]
    return [{"text": f"text number {n}", "label": labels[n % 3]} for n in range(start, start + number)]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_text(rows):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
