"""What developers run by hand. Nothing of the package or its tests is made of this, except what tests compare."""
