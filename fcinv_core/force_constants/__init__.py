"""Interatomic force constants: pair list, symmetry-reduced parameters, phonopy's files."""
