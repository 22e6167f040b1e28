"""The compared methods that train networks; `iwpa` has the engine and the other methods."""
