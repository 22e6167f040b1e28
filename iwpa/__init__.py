"""Learn a new control task in a handful of episodes, from a trained snapshot, with numpy alone."""
