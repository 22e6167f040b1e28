"""The nodes of the training program (replay, learner, actors, validation) and their call graph.

Each node is a process.
"""
