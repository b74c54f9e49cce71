"""Module 00: is this machine ready, and how do lectures, predictions and checks work."""
