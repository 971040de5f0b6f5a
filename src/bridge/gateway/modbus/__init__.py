"""Modbus TCP, RTU over TCP and Modbus/TCP Security to the devices on the lines of the bridge."""
