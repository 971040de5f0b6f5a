"""Modbus frames and PDUs as bytes: the codec that field, gateway and own server share. Pure."""
