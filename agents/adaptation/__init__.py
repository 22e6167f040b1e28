"""How a held-out task is learned: the engine, and the methods that are compared on it."""
