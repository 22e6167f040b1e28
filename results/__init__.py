"""Records of a run, their statistics, and the report: the end of the line, which imports nothing of ours."""
