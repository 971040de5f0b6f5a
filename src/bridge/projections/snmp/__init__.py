"""SNMP agent: the point table as a MIB for network management stations, with traps and informs."""
