"""What goes with the kind."""

from __future__ import annotations

from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import CHOICE_PRIMARY
from activelora.tasks.task import Kind
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
from activelora.uncertainty.text_measures import ORACLE_NLL, TEXT_MEASURES

KIND = Kind(
    name="generation",
    summary="a text that the model writes itself, such as a worked solution",
    implementation="activelora.kinds.generation.task:Generation",
    judge="activelora.kinds.generation.judge:TextJudge",
    headline=ACCURACY,
    primary=CHOICE_PRIMARY,
    measures=(*TEXT_MEASURES, *MEANING_MEASURES, ORACLE_NLL),
    form="text",
    one_answer=False,
    one_softmax=False,
    writes=True,
    draws_by_label=False,
    checks_exploration=False,
    corrects_prior=False,
    has_temperature=False,
    gold_questions=False,
    fields=("max_answer_tokens", "extract", "reduction"),
)
