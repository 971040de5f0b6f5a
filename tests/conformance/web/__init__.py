"""The console: what browsers, monitoring and hostile strangers get from the real worker."""
