"""Composition root of the core process: the only package that knows every other."""
