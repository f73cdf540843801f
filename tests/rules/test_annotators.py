"""Settings about several annotators that do not go with others."""

import pytest

from activelora.errors import ProblemsError
from activelora.rules.file import checked_config
from tests.labeling.conftest import LABELS


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"labeling": {"source": "files", "aggregation": "median"}}, "combines labels of regression"),
        ({"labeling": {"source": "oracle", "gold_questions": 2}}, "measure people"),
        ({"labeling": {"source": "llm", "gold_questions": 2}}, "gold questions measure people"),
        ({"labeling": {"source": "files", "gold_questions": 2, "show_reasons": True}}, "gives them away"),
        ({"labeling": {"source": "llm", "skipped": "return"}}, "asked again, at its price"),
        (
            {
                "labeling": {
                    "source": "label_studio",
                    "label_studio": {"url": "http://localhost", "predictions": "shown"},
                    "gold_questions": 2,
                }
            },
            "gives those away",
        ),
        (
            {
                "task": {"kind": "multiple_choice", "prompt": "{q}", "answer": "text"},
                "labeling": {"aggregation": "dawid_skene"},
            },
            "combines labels of classification, yes_no",
        ),
        ({"training": {"soft_labels": True}, "adapter": {"method": "laplace"}}, "one label an item"),
        ({"training": {"soft_labels": True}, "adapter": {"method": "tfb"}}, "one label an item"),
    ],
)
def test_settings_that_do_not_go_together(sections, words):
    document = {
        "name": "test",
        "task": {"prompt": "{text}", "labels": LABELS},
        "data": {"pool": {"path": "p.jsonl"}, "holdout": {"path": "h.jsonl"}},
        **sections,
    }
    with pytest.raises(ProblemsError, match=words):
        checked_config(document, where="test")
