"""BACnet/IP: the points of the site as objects of one device, or of one device per meter."""
