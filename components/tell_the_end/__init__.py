"""tell_the_end: tells a person how a run of a pipeline ended."""
