"""What the bridge knows by itself: derived points, demand, alarms, events, age."""
