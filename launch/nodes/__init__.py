"""The nodes of the training program, each a process: replay, learner, actors, validation; and the graph of who calls whom."""
