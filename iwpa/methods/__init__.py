"""How a held-out task is learned by what trains no network."""
