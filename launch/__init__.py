"""The program of processes, its nodes, and the commands that people run."""
