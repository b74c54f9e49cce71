"""Module 00: is this machine ready, and how do lectures, labs, predictions, checks and hints work."""
