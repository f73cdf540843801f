#!/usr/bin/env bash
# Makes the development secrets with random values, where they are not there yet. Nothing is written to a file.
#   ./create-secrets.sh            into the cluster of the current context
#   ./create-secrets.sh --dry-run  prints the names and keys, and sends nothing
set -euo pipefail
dry=${1:-}
services=activelora
runs=${RUNS_NAMESPACE:-kubeflow}

random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# make NAMESPACE NAME KEY=VALUE...
make() {
  local namespace=$1 name=$2 literals=()
  shift 2
  for pair in "$@"; do literals+=("--from-literal=$pair"); done
  if [ "$dry" = --dry-run ]; then
    echo "secret $namespace/$name: $(printf '%s\n' "$@" | cut -d= -f1 | paste -sd' ')"
  elif kubectl --namespace "$namespace" get secret "$name" > /dev/null 2>&1; then
    echo "secret $namespace/$name is there and is kept"
  else
    kubectl --namespace "$namespace" create secret generic "$name" "${literals[@]}"
  fi
}

if [ "$dry" != --dry-run ]; then
  kubectl create namespace "$services" --dry-run=client --output=yaml | kubectl apply --filename=-
  # The same keys in both namespaces: half of them from an earlier call would not fit together.
  there=$(kubectl --namespace "$services" get secret activelora-s3 --ignore-not-found --output=name)
  other=$(kubectl --namespace "$runs" get secret activelora-s3 --ignore-not-found --output=name)
  if [ -n "$there" ] && [ -z "$other" ]; then
    kubectl --namespace "$services" get secret activelora-s3 --output=json \
      | sed "s/\"namespace\": \"$services\"/\"namespace\": \"$runs\"/" | kubectl create --filename=-
  fi
fi
key=activelora
secret=$(random)
mlflow=$(random)
labels=$(random)
identities="{\"identities\":[{\"name\":\"activelora\",\"credentials\":[{\"accessKey\":\"$key\",\"secretKey\":\"$secret\"}],\"actions\":[\"Admin\",\"Read\",\"Write\",\"List\",\"Tagging\"]}]}"

make "$services" activelora-s3 "AWS_ACCESS_KEY_ID=$key" "AWS_SECRET_ACCESS_KEY=$secret" "identities.json=$identities"
make "$runs" activelora-s3 "AWS_ACCESS_KEY_ID=$key" "AWS_SECRET_ACCESS_KEY=$secret"
make "$services" activelora-postgres "POSTGRES_PASSWORD=$(random)" "MLFLOW_PASSWORD=$mlflow" "LABEL_STUDIO_PASSWORD=$labels"
make "$services" activelora-mlflow "MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://mlflow:$mlflow@postgres:5432/mlflow"
make "$services" activelora-label-studio "POSTGRE_PASSWORD=$labels" LABEL_STUDIO_USERNAME=admin@example.com \
  "LABEL_STUDIO_PASSWORD=$(random)" "SECRET_KEY=$(random)"
