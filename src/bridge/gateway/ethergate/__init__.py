"""Raw bytes between one TCP or TLS client and a serial line of the bridge."""
