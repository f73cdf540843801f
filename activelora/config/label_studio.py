"""The `labeling.label_studio` section of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from activelora.config.section import Section


class LabelStudioConfig(Section):
    """Where Label Studio is, and what annotators see there. Its API token is read from LABEL_STUDIO_API_KEY."""

    url: str | None = None
    """Address of the server, such as `https://labels.example.org`. May be changed while the campaign runs, if the
    server moves."""
    title: str | None = None
    """Title of the project. None is the campaign's name. People may change it in Label Studio: the project is
    recognised by a line in its description."""
    instructions: str | None = None
    """What annotators read before they begin, as plain text. None says what kind of answer is wanted and shows the
    prompt."""
    predictions: Literal["none", "hidden", "shown"] = "none"
    """The model's own answers. `none`: not sent. `hidden`: stored beside each task, for analysis, and not shown to
    annotators. `shown`: filled in beforehand. That is faster, and biased: people tend to accept what they see
    (anchoring), so labels drift towards the model's errors, and agreement between annotators looks better than
    it is. Not for multi_label and generation."""
    annotators: Literal["id", "email"] = "id"
    """How annotators are named in labels, reports and exports. `id`: by their number in Label Studio, such as
    `user-7`, which keeps personal data there. `email`: by their e-mail address."""
    timeout_seconds: Annotated[float, Field(gt=0.0)] = 60.0
    """How long one answer of the server may take. May be changed while the campaign runs."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be an address such as https://labels.example.org")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "it must hold no user name, password, query or fragment: the token is LABEL_STUDIO_API_KEY"
            )
        return url.rstrip("/")
