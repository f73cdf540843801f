from activelora.evaluation.headline import Headline
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

KIND = Kind(
    name="stars",
    summary="one to three stars",
    implementation="tests.kinds.toy_kind.task:Stars",
    judge="tests.kinds.toy_kind.judge:StarsJudge",
    headline=Headline(
        "stars_off",
        "Stars off",
        is_share=False,
        lower_is_better=True,
        columns=(("stars_off", "stars off"), ("accuracy", "accuracy"), ("ece", "ECE")),
        second=("ece", "Calibration error (ECE)"),
        second_note="lower is better",
    ),
    measures=tuple(MEASURES),
    aggregations=("median",),
    fixed_labels=lambda config: ("1", "2", "3"),
    refusal=lambda config: "stars are one to three" if "ten" in config.prompt else None,
)
