"""Where a picture says that it was generated: its marks, the instance's signature, and how both are checked."""
