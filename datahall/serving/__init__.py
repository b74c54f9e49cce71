"""Secure serving: a model service that is defended layer by layer, and attacked layer by layer."""
