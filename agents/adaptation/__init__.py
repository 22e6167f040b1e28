"""The compared methods that train networks; `iwpa` has the engine, and the others."""
