"""One write policy: who may set what; everything else is refused."""
