"""Planning: what orientations would say about what is asked, given what is known."""
