"""Regenerates what is committed: the model, the executed notebooks, figures and tables."""
