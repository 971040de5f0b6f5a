"""Documents about the whole site that belong to no server: ontologies and the cover page of the integration pack."""
