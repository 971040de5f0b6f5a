"""Modbus TCP server. Imports nothing: the core reads `mapping`, only the worker imports `server`."""
