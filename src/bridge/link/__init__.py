"""What core and worker say to each other, as bytes; knows neither side."""
