"""What a task is: prompt, label space, answer scoring."""
