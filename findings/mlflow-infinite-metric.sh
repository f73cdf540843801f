#!/usr/bin/env bash
# A metric that is infinite comes back as the largest finite number; one that is not a number comes back as it was.
#
# mlflow 3.17.2 (https://github.com/mlflow/mlflow), MlflowClient on sqlite, as the server does on its database.
# A negative log-likelihood of a label that the model rules out is infinite. Read back, it is 1.797e308: a mean over runs,
# or a comparison with infinity, is then another one, and the page draws a curve that nobody can read.
source "$(dirname "$0")/lib.sh"
environment mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.19.1
program_prints "inf   1.7976931348623157e+308 is infinite: False
-inf  -1.7976931348623157e+308 is infinite: False
nan   nan is infinite: False" <<'PYTHON'
import logging
import math
from pathlib import Path

logging.disable(logging.INFO)
from mlflow import MlflowClient

client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
experiment = client.create_experiment("tickets", artifact_location=Path("artifacts").absolute().as_uri())
run = client.create_run(experiment).info.run_id
for name in ("inf", "-inf", "nan"):
    client.log_metric(run, f"nll{name.replace('-', '_minus_')}", float(name))
    value = client.get_run(run).data.metrics[f"nll{name.replace('-', '_minus_')}"]
    print(">", f"{name:5}", value, "is infinite:", math.isinf(value))
PYTHON
