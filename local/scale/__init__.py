"""Many owners: what one deployment does with them, measured here, and a model of what AWS would do with more."""
