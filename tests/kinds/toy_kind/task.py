from dataclasses import dataclass

from activelora.config import TaskConfig
from activelora.errors import LabelError
from activelora.tasks.prompt import Template
from activelora.tasks.task import Query
from tests.kinds.toy_kind.kind import KIND


@dataclass(frozen=True)
class Stars:
    config: TaskConfig

    kind = KIND
    reading = "all_tokens"
    description = "The model gives one to three stars:"
    label_hint = None
    label_names = ("1", "2", "3")
    values = None

    @property
    def columns(self):
        return Template.parse(self.config.prompt).fields

    def queries(self, item):
        template = Template.parse(self.config.prompt)
        return [Query(template.fill(item.fields), template.closing, self.label_names)]

    def targets(self, label):
        return [label]

    def parse_label(self, raw, item):
        text = str(raw).strip().replace("★", "*")
        if text in self.label_names:
            return self.label_names.index(text)
        if text in ("*", "**", "***"):
            return len(text) - 1
        raise LabelError(f"{text[:80]!r} is not one to three stars")

    def is_rounded(self, raw):
        return False

    def label_name(self, label, item):
        return self.label_names[label]

    def written_label(self, label, item):
        return self.label_names[label]

    def label_counts(self, counts):
        return {self.label_names[label]: count for label, count in counts.items()}

    def missing_labels(self, counts):
        return [name for label, name in enumerate(self.label_names) if label not in counts]
