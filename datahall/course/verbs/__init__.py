"""The verbs of `datahall`, one module for each group; heavy imports wait for the call."""
