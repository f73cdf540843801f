"""Who runs the graph on this machine: in this process, in subprocesses or in containers."""
