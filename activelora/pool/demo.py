"""The built-in demo data: route a request to the team that owns it.

botocore, which comes with boto3, carries the documentation of every AWS operation. The first two sentences of an
operation's text are the request; the service that owns the operation is the label. So that routing is no keyword
look-up, names are masked first:

1. Notes and boxes are cut out, HTML is stripped, entities are decoded.
2. Every name in :data:`NAMES` becomes ``___``: the services' names and abbreviations, their products, and the label
   words themselves. A name is found as a word in any case (``s3:GetObject``) and inside an identifier
   (``CreateDBCluster``), which is then masked as a whole.
3. Runs of masks become one, and the text is cut to :data:`MAX_WORDS` words.

The masks are the same for all services, so a mask says nothing about the label. What is left is what the operation is
about: buckets, roles, snapshots, crawlers. Texts that two services share after masking are left out.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator

SERVICES = {
    "ec2": "compute",
    "sagemaker": "learning",
    "glue": "integration",
    "iam": "governance",
    "rds": "relational",
    "redshift": "warehouse",
    "cognito-idp": "login",
    "s3": "storage",
}
"""AWS service to label: the team that owns it. Every word is a single token for SmolLM2."""
MAX_ITEMS = 110
MAX_WORDS = 45
MIN_WORDS = 4
MASK = "___"

_WORDS = (
    r"amazon web services|amazon|aws|"
    r"elastic compute cloud|virtual private cloud|elastic block store|elastic file system|elastic ip|"
    r"ec2|vpcs?|ebs|amis?|afis?|ipams?|nitro|outposts?|wavelength|classiclink|transit gateways?|verified access|"
    r"sagemaker(?: ai)?|hyperpod|jumpstart|autopilot|automl|ground truth|feature store|model monitor|clarify|"
    r"glue|databrew|data catalogs?|lake formation|athena|emr|"
    r"identity and access management|iam(?: identity center)?|sts|security token service|"
    r"relational database service|rds|aurora|databases?|dbs?|"
    r"redshift(?: serverless)?|query editor|qev2|cognito|simple storage service|s3|glacier|"
    r"computes?|computing|machine learning|ml|learning|integrations?|governance|relational|"
    r"warehouses?|warehousing|logins?|log in|storage"
)
_HUMPS = (
    r"EC2|Ec2|VPC|Vpc|EBS|Ebs|IPAM|Ipam|SageMaker|Sagemaker|HyperPod|AutoML|ML(?=[A-Z])|Glue|DataCatalog|IAM|Iam|"
    r"RDS|Rds|Aurora|DB|Db(?=[A-Z])|Database|Redshift|Cognito|S3|Glacier|Amazon|AWS|Aws|"
    r"Compute(?=[A-Z]|\b)|Learning|Integration|Governance|Relational|Warehouse|Login|Storage"
)
NAMES = re.compile(
    rf"(?<![A-Za-z0-9])(?i:{_WORDS})(?![A-Za-z0-9])"
    rf"|[A-Za-z0-9]*(?:{_HUMPS})[A-Za-z0-9]*"
    r"|(?<![A-Za-z0-9])(?:aws|db|iam|ec2|vpc|rds|s3|login|storage)[A-Z][A-Za-z0-9]*"
)
"""Names as words, inside identifiers by their capitals, and as an identifier's lower-case beginning."""

_BOX = re.compile(r"<(note|important|caution|warning)>.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MASKS = re.compile(rf"{MASK}(?:[\s/()-]*{MASK})+")


def demo_rows() -> Iterator[dict[str, str]]:
    """Yield ``{"text": ..., "label": ...}``, up to :data:`MAX_ITEMS` a service, the same for the same botocore."""
    texts = {service: _texts(service) for service in SERVICES}
    owners: dict[str, set[str]] = {}
    for service, known in texts.items():
        for text in known:
            owners.setdefault(text.casefold(), set()).add(service)
    for service, label in SERVICES.items():
        own = [text for text in texts[service] if len(owners[text.casefold()]) == 1]
        for text in own[:MAX_ITEMS]:
            yield {"text": text, "label": label}


def mask(documentation: str) -> str:
    """Return an operation's documentation as a masked request of at most :data:`MAX_WORDS` words."""
    plain = html.unescape(_TAG.sub(" ", _BOX.sub(" ", documentation)))
    plain = re.sub(r"\s+([.,;:)])", r"\1", " ".join(plain.split()))
    sentences = " ".join(_SENTENCE.split(plain)[:2])
    masked = _MASKS.sub(MASK, NAMES.sub(MASK, sentences))
    return " ".join(masked.split()[:MAX_WORDS])


def _texts(service: str) -> list[str]:
    """Return a service's different masked texts, in an order that mixes related operations."""
    from botocore.loaders import Loader

    operations = Loader().load_service_model(service, "service-2")["operations"]
    names = sorted(operations, key=lambda name: hashlib.sha256(name.encode()).digest())
    texts = (mask(operations[name].get("documentation", "")) for name in names)
    return [text for text in dict.fromkeys(texts) if len(text.split()) >= MIN_WORDS]
