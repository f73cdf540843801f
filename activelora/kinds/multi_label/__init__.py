"""Any number of the task's labels."""
