"""Modbus client: planner, decoder, masters, poller, writer."""
