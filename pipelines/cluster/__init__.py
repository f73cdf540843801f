"""Talks to a Kubeflow Pipelines API server and to Kubernetes."""
