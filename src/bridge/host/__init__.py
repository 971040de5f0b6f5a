"""The side of the child process: one projection, its image of the points, its guarded listeners."""
