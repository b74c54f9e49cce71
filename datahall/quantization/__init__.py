"""Module 06: quantization and compression."""
