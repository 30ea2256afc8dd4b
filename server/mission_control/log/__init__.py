"""The truth on disk: one append-only sequence of events, and what follows from it."""
