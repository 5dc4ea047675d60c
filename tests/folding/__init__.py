"""Tests of fcinv_core.folding."""
