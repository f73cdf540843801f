"""Old names of modules and of what was in them, which stay importable for one minor version with a DeprecationWarning.

Pipelines that are registered on clusters say ``from pipelines.due import due_at`` in their components' bodies, and
other packages import documented names. The tables go with 0.3.0.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any

LAST_VERSION = "0.2"
"""The last minor version that knows the old names."""

MOVED: dict[str, str] = {
    "activelora.acquisition.fit": "activelora.acquisition.compatibility",
    "activelora.acquisition.kept": "activelora.acquisition.checked",
    "activelora.config_acquisition": "activelora.config.acquisition",
    "activelora.config_adapter": "activelora.config.adapter",
    "activelora.config_annotators": "activelora.rules.annotators",
    "activelora.config_conflict": "activelora.config.conflict",
    "activelora.config_errors": "activelora.config.messages",
    "activelora.config_file": "activelora.config.file",
    "activelora.config_label_studio": "activelora.config.label_studio",
    "activelora.config_labeling": "activelora.config.labeling",
    "activelora.config_labeling_rules": "activelora.rules.labeling",
    "activelora.config_llm": "activelora.config.llm",
    "activelora.config_parallel": "activelora.rules.parallel",
    "activelora.config_presets": "activelora.config.presets",
    "activelora.config_privacy": "activelora.rules.privacy",
    "activelora.config_resources": "activelora.config.resources",
    "activelora.config_rules": "activelora.rules.campaign",
    "activelora.config_secrets": "activelora.config.secrets",
    "activelora.config_section": "activelora.config.section",
    "activelora.config_stopping": "activelora.config.stopping",
    "activelora.config_task": "activelora.config.task",
    "activelora.labeling.desk": "activelora.labeling.terminal_requests",
    "activelora.labeling.discretion": "activelora.labeling.redaction",
    "activelora.labeling.kept": "activelora.labeling.cache",
    "activelora.labeling.moments": "activelora.labeling.deadlines",
    "activelora.pool.formats": "activelora.formats.row",
    "activelora.pool.problems": "activelora.formats.problems",
    "activelora.tasks.classification": "activelora.kinds.classification.task",
    "activelora.tasks.generation": "activelora.kinds.generation.task",
    "activelora.tasks.multi_label": "activelora.kinds.multi_label.task",
    "activelora.tasks.multiple_choice": "activelora.kinds.multiple_choice.task",
    "activelora.tasks.registry": "activelora.kinds.registry",
    "activelora.tasks.regression": "activelora.kinds.regression.task",
    "activelora.tracking.champion": "activelora.evaluation.gates",
    "activelora.tracking.headline": "activelora.evaluation.headline",
    "activelora.tracking.headline_values": "activelora.evaluation.headline_values",
    "activelora.tracking.history": "activelora.campaign.history",
    "activelora.tracking.live_check": "activelora.evaluation.exploration_check",
    "activelora.tracking.outlook": "activelora.evaluation.forecast",
    "activelora.uncertainty.bootstrap": "activelora.evaluation.bootstrap",
    "activelora.uncertainty.calibration": "activelora.evaluation.calibration",
    "activelora.uncertainty.classification_metrics": "activelora.evaluation.classification_metrics",
    "activelora.uncertainty.evaluation": "activelora.evaluation.evaluation",
    "activelora.uncertainty.forecast": "activelora.evaluation.learning_curve",
    "activelora.uncertainty.multi_label_evaluation": "activelora.evaluation.multi_label_evaluation",
    "activelora.uncertainty.proportions": "activelora.evaluation.proportions",
    "activelora.uncertainty.regression_evaluation": "activelora.evaluation.regression_evaluation",
    "activelora.uncertainty.regression_metrics": "activelora.evaluation.regression_metrics",
    "activelora.uncertainty.temperature": "activelora.evaluation.temperature",
    "activelora.uncertainty.text_evaluation": "activelora.evaluation.text_evaluation",
    "activelora.webhook": "activelora.notices",
    "components.evaluate_adapter.judges": "activelora.evaluation.judges",
    "pipelines.campaign": "pipelines.graphs.campaign",
    "pipelines.canonical": "pipelines.graphs.canonical",
    "pipelines.checks": "pipelines.cli.checks",
    "pipelines.cluster.cron": "pipelines.deploy.cron",
    "pipelines.cluster.doctor": "pipelines.doctor.doctor",
    "pipelines.cluster.findings": "pipelines.doctor.findings",
    "pipelines.cluster.nodes": "pipelines.doctor.nodes",
    "pipelines.cluster.objects": "pipelines.doctor.objects",
    "pipelines.cluster.packages": "pipelines.deploy.packages",
    "pipelines.cluster.registry": "pipelines.doctor.container_registry",
    "pipelines.cluster.remote": "pipelines.deploy.remote",
    "pipelines.cluster.schedules": "pipelines.deploy.schedules",
    "pipelines.cluster.submission": "pipelines.deploy.submission",
    "pipelines.cluster.train_job_spec": "pipelines.graphs.train_job_spec",
    "pipelines.cluster.training_checks": "pipelines.doctor.training_checks",
    "pipelines.commands": "pipelines.cli.commands",
    "pipelines.commands.authoring": "pipelines.cli.commands.check_schema",
    "pipelines.commands.catalogue": "pipelines.cli.commands.list",
    "pipelines.commands.compare": "pipelines.cli.commands.compare",
    "pipelines.commands.compiling": "pipelines.cli.commands.compile",
    "pipelines.commands.deleting": "pipelines.cli.commands.delete_item",
    "pipelines.commands.demonstration": "pipelines.cli.commands.demo",
    "pipelines.commands.diagnosing": "pipelines.cli.commands.diagnose",
    "pipelines.commands.ending": "pipelines.cli.commands.stop",
    "pipelines.commands.examining": "pipelines.cli.commands.doctor",
    "pipelines.commands.labelling": "pipelines.cli.commands.label",
    "pipelines.commands.labels": "pipelines.cli.commands.labels",
    "pipelines.commands.models": "pipelines.cli.commands.model",
    "pipelines.commands.running": "pipelines.cli.commands.run_tick",
    "pipelines.commands.submitting": "pipelines.cli.commands.submit_schedule",
    "pipelines.commands.waking": "pipelines.cli.commands.wake",
    "pipelines.commands.watching": "pipelines.cli.commands.status_report",
    "pipelines.compare": "pipelines.comparisons.grid",
    "pipelines.compare_workers": "pipelines.comparisons.workers",
    "pipelines.compile": "pipelines.graphs.compile",
    "pipelines.container_log": "pipelines.engines.container_log",
    "pipelines.containers": "pipelines.engines.containers",
    "pipelines.demo": "pipelines.cli.demo",
    "pipelines.due": "components.plan.step",
    "pipelines.ending": "components.tell_the_end.component",
    "pipelines.inline": "pipelines.engines.inline",
    "pipelines.keyboard": "pipelines.cli.keyboard",
    "pipelines.labelling": "pipelines.cli.label_session",
    "pipelines.local": "pipelines.engines.kfp_local",
    "pipelines.memory": "pipelines.cli.memory",
    "pipelines.notice": "components.tell_the_end.step",
    "pipelines.placement": "pipelines.graphs.placement",
    "pipelines.places": "pipelines.cli.locations",
    "pipelines.plan": "components.plan.component",
    "pipelines.pods": "pipelines.graphs.pods",
    "pipelines.publish": "activelora.tracking.publish",
    "pipelines.round": "pipelines.graphs.round",
    "pipelines.standing": "pipelines.cli.status_document",
    "pipelines.steering": "pipelines.graphs.accelerators",
    "pipelines.terminal": "pipelines.cli.console",
    "pipelines.tick": "pipelines.graphs.tick",
    "pipelines.train_job": "pipelines.graphs.train_job",
    "pipelines.train_step": "pipelines.cluster.train_step",
    "pipelines.wake": "pipelines.webhooks",
    "pipelines.wake.bell": "pipelines.webhooks.debounce",
    "pipelines.wake.server": "pipelines.webhooks.server",
    "pipelines.wake.ticks": "pipelines.webhooks.ticks",
}
"""Old name → new name of every module that moved in 0.2.0."""

NAMES: dict[str, dict[str, str]] = {
    "activelora.campaign.manifest": {"STEPS": "activelora.config.steps"},
    "activelora.campaign.store": dict.fromkeys(("PARTIAL", "check_key", "check_prefix"), "activelora.campaign.keys"),
    "activelora.config_file": {"load_config": "activelora"},
    "activelora.config_privacy": {"check_patterns": "activelora.config.labeling"},
    "activelora.config_rules": {"conflicts": "activelora.rules.checks"},
    "activelora.labeling.source": dict.fromkeys(
        (
            "CLOSED",
            "PASSED",
            "Ballot",
            "Known",
            "Record",
            "Rejected",
            "State",
            "make_request",
            "open_request",
            "withheld_items",
        ),
        "activelora.labeling.request",
    ),
    "activelora.labeling.waiting": dict.fromkeys(
        ("STATES", "describe_wait", "rejected_key", "rejected_uri", "wait_document"),
        "activelora.labeling.wait_status",
    ),
    "activelora.log_lines": {"is_secret_name": "activelora.redacting"},
    "activelora.modeling.parallel": {"SharedDropout": "activelora.modeling.shared_dropout"},
    "activelora.pool.formats": {
        "read_csv": "activelora.formats.delimited",
        "read_parquet": "activelora.formats.arrow_rows",
    },
    "activelora.tracking.headline": {
        "RMSE": "activelora.kinds.regression.kind",
        "headline_of": "activelora.kinds.registry",
    },
    "components.evaluate_adapter.judges": {
        "NUMBER_SCHEMA": "activelora.kinds.regression.judge",
        "NumberJudge": "activelora.kinds.regression.judge",
        "SET_SCHEMA": "activelora.kinds.multi_label.judge",
        "SetJudge": "activelora.kinds.multi_label.judge",
    },
    "components.evaluate_adapter.written": {"TEXT_SCHEMA": "activelora.kinds.generation.judge"},
    "pipelines.cli": {
        "TERMINATED": "pipelines.cli.signals",
        "app": "pipelines.cli.main",
        "options": "pipelines.cli.main",
    },
    "pipelines.cluster.train_job_spec": dict.fromkeys(("job_name", "make_job"), "pipelines.cluster.train_jobs"),
    "pipelines.compare": {"check_cells": "pipelines.cli.commands.compare"},
    "pipelines.compare_workers": {"main": "pipelines.cli.compare_worker"},
    "pipelines.engines": dict.fromkeys(("EngineError", "Runner"), "pipelines.engines.errors"),
    "pipelines.pods": dict.fromkeys(("JOB_VARIABLE", "POD_VARIABLES"), "pipelines.cluster.train_step"),
}
"""Module as 0.1 called it → the names that went to another file than the rest of it → that file's module."""

PROGRAMS: dict[str, str] = {"pipelines.compare_workers": "pipelines.cli.compare_worker"}
"""Old name → new name of what ``python -m`` runs."""


def find_names(old: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, which finds what went to another file, and warns.

    Args:
        old: The module's name in 0.1.
    """
    homes = NAMES[old]

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        new = homes[name]
        message = f"{old}.{name} is now {new}.{name}; the old name goes after ActiveLoRA {LAST_VERSION}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(new), name)

    return find


class _MovedLoader(Loader):
    """Puts the module of the new name where the old one is asked for."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave making the module that is thrown away to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Import the new module, warn, and let the old name mean it."""
        old = module.__name__
        new = MOVED[old]
        message = f"{old} is now {new}; the old name goes after ActiveLoRA {LAST_VERSION}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        sys.modules[old] = here = import_module(new)
        if old in NAMES:
            vars(here)["__getattr__"] = find_names(old)

    def get_code(self, fullname: str) -> CodeType | None:
        """Return what ``python -m`` runs, and say on stderr what it is called now.

        Args:
            fullname: The old name.

        Raises:
            ImportError: It is no program; Python shows this as one line.
        """
        if fullname not in PROGRAMS:
            raise ImportError(f"{fullname} is now {MOVED[fullname]}, which is no program")
        new = PROGRAMS[fullname]
        spec = find_spec(new)
        if spec is None or not isinstance(spec.loader, InspectLoader):
            raise ImportError(f"{fullname} is now {new}, whose code cannot be found")
        print(f"{fullname} is now {new}; the old name goes after ActiveLoRA {LAST_VERSION}", file=sys.stderr)
        return spec.loader.get_code(new)


class MovedModules(MetaPathFinder):
    """Finds modules by their old names, before an empty folder that an older version left behind is taken for one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of an old name comes from; None for every other name."""
        if fullname in MOVED:
            return ModuleSpec(fullname, _MovedLoader())
        return None


def install() -> None:
    """Make the old names importable. Called once by each of the packages that had them."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedModules())
