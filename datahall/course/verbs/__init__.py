"""The verbs of `datahall`, one module for each group; each imports what it needs when it is
called.
"""
