"""What is put on a cluster: pipeline versions, runs and recurring runs."""
