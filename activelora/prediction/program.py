"""``predict.py`` of an exported model: the shortest program that answers as this package does without samples.

It is put together of what the model's task needs, so that whoever reads it reads no more than that. It needs
transformers, and peft where the model is an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PROGRAM_NAME = "predict.py"


def program(document: Mapping[str, Any], *, by_text: bool, asks_each_label: bool, with_base: bool, name: str) -> str:
    """Return the text of the program.

    Args:
        document: ``task.json``.
        by_text: Whether the answers are read as texts of the row's own, by the mean over their tokens.
        asks_each_label: Whether there is a question about each label.
        with_base: Whether the base model is in the folder.
        name: What the model is called.
    """
    start = [_head(document, name), _load(document, with_base), _plain(document)]
    by_one_token = document["answer_ids"] and len(document["questions"]) == 1 and not document["choices_column"]
    if by_one_token and len(document["adapters"]) < 2:
        return "\n\n".join([*start, "\n".join(_straight(document))]) + "\n"
    parts = [*start, _tokens(document), _prompt(document)]
    if document["end"] is not None:
        parts += [_WRITING]
    else:
        answer = _SET if asks_each_label else _CHOICE if document["numbers"] is None else _NUMBER
        parts += [_scores(document, by_text), _probabilities(document), answer]
    return "\n\n\n".join(part.strip("\n") for part in (*parts, _main(document))) + "\n"


def _straight(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines from file to answers where each answer is read by one token, after the same question."""
    means = "labels" if document["numbers"] is None else "numbers"
    own = f'task["questions"][0], task["max_prompt_tokens"], task["tail_tokens"], task["{means}"]'
    yield f"parts, most, tail, {means} = {own}"
    yield 'with open(sys.argv[1], encoding="utf-8-sig", newline="") as file, torch.inference_mode():'
    yield '    for row in map(json.loads, file) if sys.argv[1].endswith(".jsonl") else csv.DictReader(file):'
    lines = [_TEXT, *_chat_lines(document), *_token_lines(document), _CUT]
    lines += ['found = model(input_ids=torch.tensor([ids])).logits[0, -1, task["answer_ids"]].double()']
    if document["log_prior"]:
        lines += ['found -= torch.tensor(task["log_prior"])']
    lines += ['probs = (found / task["temperature"]).softmax(-1)']
    answer = '"prediction": float(probs @ torch.tensor(numbers, dtype=probs.dtype))'
    if document["numbers"] is None:
        lines += ["top = int(probs.argmax())"]
        answer = '"prediction": labels[top], "probability": float(probs[top])'
    lines += [f"print(json.dumps({{{answer}}}, ensure_ascii=False), flush=True)"]
    yield from (" " * 8 + line for line in lines)


def _chat_lines(document: Mapping[str, Any]) -> Iterator[str]:
    if document["before"] or document["after"]:
        own = "text.lstrip()" if document["strips"] else "text"
        yield f'text = task["before"] + {own} + task["after"]  # the chat template'


def _token_lines(document: Mapping[str, Any]) -> Iterator[str]:
    adds = "" if document["adds_special_tokens"] else ", add_special_tokens=False"
    yield f'ids = tokenizer(text{adds})["input_ids"]'
    if document["drops_first"] or document["drops_last"]:
        yield f"ids = ids[{document['drops_first']} : len(ids) - {document['drops_last']}]"


def _head(document: Mapping[str, Any], name: str) -> str:
    peft = "from peft import PeftModel\n" if document["adapters"] else ""
    quiet = 'warnings.simplefilter("ignore", FutureWarning)  # peft asks by an old name\n' if peft else ""
    usage = "python predict.py ROWS.csv|ROWS.jsonl" + (" [BASE_MODEL]" if document["adapters"] else "")
    title = name.replace("\\", " ").replace('"', "'")
    return f'''"""{title}, by transformers{" and peft" if peft else ""} alone: {usage}"""
import csv, json, sys, unicodedata{", warnings" if peft else ""}
from pathlib import Path
{quiet}import torch
{peft}from transformers import AutoModelForCausalLM, AutoTokenizer'''


def _load(document: Mapping[str, Any], with_base: bool) -> str:
    lines = [
        "here = Path(__file__).parent",
        'task = json.loads((here / "task.json").read_text(encoding="utf-8"))',
        "tokenizer = AutoTokenizer.from_pretrained(here)",
    ]
    dtype = f"dtype=torch.{document['dtype']}"
    if not document["adapters"]:
        return "\n".join([*lines, f"model = AutoModelForCausalLM.from_pretrained(here, {dtype}).eval()"])
    revision = f", revision={document['revision']!r}" if document["revision"] else ""
    own = 'here / "base"' if with_base else 'task["base"]'
    lines += [
        f"base = AutoModelForCausalLM.from_pretrained(sys.argv[2] if sys.argv[2:] else {own}, {dtype}{revision})",
        'model = PeftModel.from_pretrained(base, here / task["adapters"][0]).eval()',
    ]
    if len(document["adapters"]) > 1:
        lines.append('for path in task["adapters"][1:]:\n    model.load_adapter(here / path, path)\nmodel.eval()')
    return "\n".join(lines)


def _plain(document: Mapping[str, Any]) -> str:
    lines = ["def plain(value):"]
    if document["choices_column"]:
        lines += [
            "    if isinstance(value, list):",
            '        return "\\n".join(f"{chr(65 + n)}. {plain(one)}" for n, one in enumerate(value))',
        ]
    lines += [
        "    text = value if isinstance(value, str) else json.dumps(value)",
        '    text = unicodedata.normalize("NFC", text.replace("\\r\\n", "\\n").replace("\\r", "\\n")).strip()',
        '    assert not any(one in text for one in task["refused_texts"]), f"has special tokens: {text[:80]!r}"',
        "    return text",
    ]
    return "\n".join(lines)


def _tokens(document: Mapping[str, Any]) -> str:
    lines = ["def tokens(text):", *(f"    {line}" for line in _token_lines(document)), "    return ids"]
    return "\n".join(lines)


def _prompt(document: Mapping[str, Any]) -> str:
    lines = ["def prompt(parts, row):", f"    {_TEXT}"]
    lines += [f"    {line}" for line in _chat_lines(document)]
    lines += [
        '    ids, most, tail = tokens(text), task["max_prompt_tokens"], task["tail_tokens"]',
        f"    {_CUT}",
        "    return ids",
    ]
    return "\n".join(lines)


def _scores(document: Mapping[str, Any], by_text: bool) -> str:
    if by_text:
        return _own_answers(document)
    if all(len(answer) == 1 for answer in document["answers"]):
        some = f'[:len(row["{document["choices_column"]}"])]' if document["choices_column"] else ""
        return _FIRST.replace("SOME", some)
    return _ALONG + _SUMS


def _own_answers(document: Mapping[str, Any]) -> str:
    spoken = _CONTINUED if document["adds_special_tokens"] else _SPOKEN
    return spoken + _ALONG + _MEANS.replace("COLUMN", document["choices_column"])


def _probabilities(document: Mapping[str, Any]) -> str:
    return "\n".join(_probability_lines(document))


def _probability_lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield "def probabilities(parts, row):"
    found = "scores(parts, row).double()"
    if len(document["adapters"]) > 1:
        yield "    members = []"
        yield '    for name in ["default", *task["adapters"][1:]]:'
        yield "        model.set_adapter(name)"
        yield "        members.append(scores(parts, row).double().softmax(-1))"
        found = "torch.stack(members).mean(0).log()"
    elif document["log_prior"]:
        found += ".log_softmax(-1)"
    if document["log_prior"]:
        yield f"    found = {found}"
        found = '(found - torch.tensor(task["log_prior"][: len(found)]))'
    yield f'    return ({found} / task["temperature"]).softmax(-1)'


_TEXT = 'text = "".join(part if isinstance(part, str) else plain(row[part["column"]]) for part in parts).rstrip()'
_CUT = "ids = ids if len(ids) <= most else ids[: most - tail] + ids[len(ids) - tail :]"
_FIRST = """
@torch.inference_mode()
def scores(parts, row):
    logits = model(input_ids=torch.tensor([prompt(parts, row)])).logits[0, -1]
    return logits[[answer[0] for answer in task["answers"]SOME]]
"""
_ALONG = """
@torch.inference_mode()
def along(ids, answer):
    logits = model(input_ids=torch.tensor([[*ids, *answer[:-1]]])).logits[0, -len(answer) :]
    return logits.float().log_softmax(-1)[range(len(answer)), answer]

"""
_SUMS = """
def scores(parts, row):
    ids = prompt(parts, row)
    return torch.stack([along(ids, answer).sum() for answer in task["answers"]])
"""
_MEANS = """
def scores(parts, row):
    ids = prompt(parts, row)
    return torch.stack([along(ids, spoken(plain(one))).mean() for one in row["COLUMN"]])
"""
_SPOKEN = """
def spoken(text):
    return tokens(text)

"""
_CONTINUED = """
def spoken(text, probe="Question: what is it?\\nAnswer:"):
    first, both = tokens(probe), tokens(f"{probe} {text}")
    alone = tokenizer(f" {text}", add_special_tokens=False)["input_ids"]
    return both[len(first) :] if both[: len(first)] == first else alone

"""
_CHOICE = """
def answer(row):
    probs = probabilities(task["questions"][0], row)
    best = int(probs.argmax())
    return {"prediction": (task["labels"] or range(len(probs)))[best], "probability": float(probs[best])}
"""
_NUMBER = """
def answer(row):
    probs = probabilities(task["questions"][0], row)
    return {"prediction": float(probs @ torch.tensor(task["numbers"], dtype=probs.dtype))}
"""
_SET = """
def answer(row):
    yes = [float(probabilities(parts, row)[1]) for parts in task["questions"]]
    return {"prediction": [label for label, one in zip(task["labels"], yes) if one > 0.5]}
"""
_WRITING = """
@torch.inference_mode()
def answer(row):
    ids, written, cache = prompt(task["questions"][0], row), [], None
    while len(written) < task["max_answer_tokens"] and task["end"] not in written:
        out = model(input_ids=torch.tensor([written[-1:] or ids]), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        written.append(int(out.logits[0, -1].argmax()))
    return {"prediction": tokenizer.decode(written, skip_special_tokens=True).strip()}
"""


def _main(document: Mapping[str, Any]) -> str:
    lines = [
        'with open(sys.argv[1], encoding="utf-8-sig", newline="") as file:',
        '    for row in map(json.loads, file) if sys.argv[1].endswith(".jsonl") else csv.DictReader(file):',
    ]
    if column := document["choices_column"]:
        lines.append(f"        if isinstance(row[{column!r}], str):")
        lines.append(f"            row[{column!r}] = json.loads(row[{column!r}])")
    return "\n".join([*lines, "        print(json.dumps(answer(row), ensure_ascii=False), flush=True)"])
