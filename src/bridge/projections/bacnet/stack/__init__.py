"""Everything that knows bacpypes3."""
