#!/usr/bin/env bash
# A deleted experiment is found by its name, cannot be made again, takes no run, and says that it has none.
#
# mlflow 3.17.2 (https://github.com/mlflow/mlflow), MlflowClient on sqlite. Deleting is soft: the page hides the experiment.
# The usual `get_experiment_by_name(name) or create_experiment(name)` returns it, and the next call fails; a search of its
# runs raises nothing and finds nothing, though `ViewType.ALL` shows that they are there.
source "$(dirname "$0")/lib.sh"
environment mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.19.1
program_prints "found by name: deleted
create_experiment: it already exists
create_run: must be in the 'active' state
search_runs: 0 runs
search_runs, all: 1 runs" <<'PYTHON'
import logging
from pathlib import Path

logging.disable(logging.INFO)
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
experiment = client.create_experiment("tickets", artifact_location=Path("artifacts").absolute().as_uri())
client.create_run(experiment)
client.delete_experiment(experiment)
print("> found by name:", client.get_experiment_by_name("tickets").lifecycle_stage)
try:
    client.create_experiment("tickets")
except MlflowException as error:
    print("> create_experiment:", "it already exists" if "already exists" in str(error) else error)
try:
    client.create_run(experiment)
except MlflowException as error:
    print("> create_run:", "must be in the 'active' state" if "must be in the 'active' state" in str(error) else error)
print("> search_runs:", len(client.search_runs([experiment])), "runs")
print("> search_runs, all:", len(client.search_runs([experiment], run_view_type=ViewType.ALL)), "runs")
PYTHON
