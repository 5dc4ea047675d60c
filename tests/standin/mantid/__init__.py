"""A stand-in for Mantid's Python interface, for tests on machines without Mantid.

It offers only what introspection of a real Mantid 3.13 listed (``../manifest.json``) and only what is common to
that version and to 6.x, and it is as strict as the strictest of them: numbers must be plain Python numbers, arrays
are read-only views, unknown names raise. What it claims is probed by ``tests/contract``, which runs on a real
Mantid too.
"""
