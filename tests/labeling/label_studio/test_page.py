"""The labelling page in a real browser: what is HTML in an item or a label shows as text."""

import os
import shutil
from pathlib import Path

import pytest

from activelora.labeling.label_studio.project import known_project
from activelora.labeling.request import make_request
from tests.labeling.conftest import select
from tests.labeling.label_studio.browser import open_page

pytestmark = [pytest.mark.slow, pytest.mark.label_studio]
SCRIPT = "<script>document.title = 'it ran'</script><img src=x onerror=\"document.title = 'it ran'\">"
LABELS = ["damaged", "late", "wrong item", "<b>refund</b>"]


@pytest.fixture
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    return found


def test_the_labelling_page(make, source, people, chromium, tmp_path):
    """Ann opens the page, sees the text as text, clicks a label and submits; her answer is collected."""
    text = f"My parcel came <i>open</i> & empty. {SCRIPT} What now?"
    rows = [{"text": f"{text} ({number})", "label": "late"} for number in range(8)]
    data = {"folder": str(tmp_path / "campaign"), "pool": {"path": "pool.jsonl"}, "holdout_size": 3}
    section = {"instructions": "Say what is wrong with the order.\n<b>One label.</b>"}
    task = {"prompt": "{text}", "labels": LABELS}
    campaign = make(task=task, rows=rows, data=data, batch=2, section=section)
    ids = select(campaign)
    request = make_request(campaign, 0)
    source.publish(request)
    with open_page(chromium) as page:
        page.open(f"{people[0].url}/projects/{known_project(campaign)}/data?labeling=1", people[0].cookies)
        page.wait_for("document.body.innerText.includes('One label')")
        assert page.value("document.body.innerText").count("<b>One label.</b>") == 1
        page.press("Escape")
        page.wait_for("document.body.innerText.includes('wrong item')")
        page.wait_for("document.body.innerText.includes('What now?')")
        seen = page.value("document.body.innerText")
        assert f"My parcel came <i>open</i> & empty. {SCRIPT} What now?" in seen
        assert all(label in seen for label in LABELS)
        assert page.value("document.title") != "it ran"
        page.value("[...document.querySelectorAll('label')].find(one => one.innerText.includes('refund')).click()")
        if target := os.environ.get("ACTIVELORA_SCREENSHOT"):
            page.screenshot(Path(target))
        page.value("[...document.querySelectorAll('button')].find(one => one.innerText.includes('Submit')).click()")
        shown = request.items[ids[0]].fields["text"][-len("What now? (0)") :]
        page.wait_for(f"!document.body.innerText.includes('{shown}')")
    collected = source.collect(request)
    assert [(record["item_id"], record["label"]) for record in collected.records] == [(ids[0], 3)]
