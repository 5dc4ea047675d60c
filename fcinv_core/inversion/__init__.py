"""From a folded measurement to force constants with their uncertainty, what follows from them, and a verdict."""
