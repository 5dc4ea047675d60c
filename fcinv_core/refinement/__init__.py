"""Refinement of force constants against a measurement by Fisher scoring, with their posterior."""
