"""Simulated meters from the meter files, on pymodbus: never our own codec at both ends."""
