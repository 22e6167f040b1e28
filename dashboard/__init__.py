"""The live page of one or several runs; it reads their directories and imports nothing of ours but the results."""
