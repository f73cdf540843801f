"""The page at ``/docs``: the server's paths, and a row to try. It loads nothing from anywhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
"""What keeps others' contents out of the page."""
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #8884;vertical-align:top}
code,pre,textarea{font:14px/1.45 ui-monospace,monospace}td:first-child{white-space:nowrap}
pre,textarea{background:#8881;border:1px solid #8884;border-radius:6px;padding:.7rem;margin:.4rem 0;width:100%;
box-sizing:border-box;white-space:pre-wrap;overflow-wrap:anywhere;color:inherit}
button{font:inherit;padding:.35rem 1.1rem;border-radius:6px;border:1px solid #8886;cursor:pointer}
@media(max-width:30rem){td:first-child{white-space:normal;overflow-wrap:anywhere}}
"""
_SCRIPT = """
document.getElementById("ask").onclick = async () => {
  const shown = document.getElementById("answer");
  shown.textContent = "...";
  try {
    const body = document.getElementById("rows").value;
    const reply = await fetch("predict", {method: "POST", headers: {"Content-Type": "application/json"}, body});
    const text = await reply.text();
    try { shown.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { shown.textContent = text; }
  } catch (error) { shown.textContent = String(error); }
};
"""


def docs_page(schema: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Return the page as HTML.

    Args:
        schema: The document that ``/openapi.json`` gives.
        about: Which model answers, as every response says.
    """
    model = ", ".join(f"{escape(str(key))} {escape(str(value))}" for key, value in about.items() if key != "digest")
    rows = [
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{escape(said.get('description', ''))}</td></tr>"
        for path, methods in sorted(schema["paths"].items(), key=lambda one: not one[0].startswith("/predict"))
        for method, said in methods.items()
    ]
    body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    example = escape(json.dumps(body, indent=2, ensure_ascii=False))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ActiveLoRA serve</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>ActiveLoRA serve</h1><p>Model: {model}</p>"
        f"<h2>Paths</h2><table>{''.join(rows)}</table>"
        '<p>All of it, for programs: <a href="openapi.json">openapi.json</a></p>'
        "<h2>Try it</h2><p>Sent to <code>POST /predict</code>:</p>"
        f'<textarea id="rows" rows="8" aria-label="Rows to send">{example}</textarea>'
        '<button id="ask">Send</button><pre id="answer" aria-live="polite">The answer comes here.</pre>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
