"""`meterbridge demo`: simulated meters and a bridge for them, on unprivileged ports of this machine."""
