import re
from collections import Counter

import pytest

from activelora.pool.demo import MASK, MAX_ITEMS, MAX_WORDS, SERVICES, demo_rows, mask

ANYWHERE = ["amazon", "sagemaker", "redshift", "cognito", "hyperpod", "databrew", "glacier", "jumpstart"]
AS_A_WORD = [
    *["aws", "ec2", "vpc", "ebs", "ami", "ipam", "glue", "athena", "iam", "sts", "rds", "aurora", "db", "s3"],
    *["database", "compute", "learning", "integration", "governance", "relational", "warehouse", "login"],
    "storage",
]


@pytest.fixture(scope="module")
def rows():
    return list(demo_rows())


def words(text):
    """The words of a text in lower case; identifiers are taken apart at their capitals."""
    humps = re.findall(r"EC2|S3|[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d?|\d+", text)
    return {word.lower().removesuffix("s") if len(word) > 3 else word.lower() for word in humps}


def test_no_name_is_left(rows):
    for row in rows:
        assert [name for name in ANYWHERE if name in row["text"].lower()] == []
        assert words(row["text"]) & set(AS_A_WORD) == set(), row["text"]


def test_every_service_has_enough(rows):
    assert Counter(row["label"] for row in rows) == dict.fromkeys(SERVICES.values(), MAX_ITEMS)
    assert len(SERVICES) == len(set(SERVICES.values())) == 8


def test_texts_are_different_short_and_plain(rows):
    texts = [row["text"] for row in rows]
    assert len({text.casefold() for text in texts}) == len(texts)
    assert max(len(text.split()) for text in texts) <= MAX_WORDS
    assert not any(re.search(r"<\w|&\w+;|\s\s", text) for text in texts)


def test_a_mask_alone_is_no_request(rows):
    assert all(set(row["text"].split()) != {MASK} for row in rows)
    assert sum(row["text"].split().count(MASK) for row in rows) < 2 * len(rows)


def test_the_rows_repeat(rows):
    assert list(demo_rows()) == rows


@pytest.mark.parametrize(
    ("documentation", "masked"),
    [
        ("<p>Creates an <i>Amazon S3</i> bucket.</p>", "Creates an ___ bucket."),
        ("Uses s3:GetObject. Then CreateDBCluster. A third.", "Uses ___:GetObject. Then ___."),
        ("<note>Old.</note><p>Deletes a DB&nbsp;subnet group.</p>", "Deletes a ___ subnet group."),
        ("Draws laws on glueless storage.", "Draws laws on glueless ___."),
        ("Associates an EC2SecurityGroupId in a VPC/EBS pair.", "Associates an ___ in a ___ pair."),
    ],
)
def test_masking(documentation, masked):
    assert mask(documentation) == masked
