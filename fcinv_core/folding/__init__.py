"""Folding of measured S(Q,E) onto a path through, or the irreducible part of, one Brillouin zone."""
