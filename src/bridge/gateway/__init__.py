"""Modbus TCP and raw TCP to the lines of the bridge."""
