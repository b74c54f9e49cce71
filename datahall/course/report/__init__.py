"""The report of a run, and executed notebooks as pages."""
