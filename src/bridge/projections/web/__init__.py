"""The console: web pages, JSON API, health and metrics of the bridge."""
