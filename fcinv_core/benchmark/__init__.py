"""How good networks and refinement are, next to what the counts allow: benchmarks on spectra with known truth."""
