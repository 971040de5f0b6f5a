"""Facts and rules of points. No I/O, no clock but `clock.py`."""
