"""Notebook files: reading, normal form, structure, stored outputs."""
