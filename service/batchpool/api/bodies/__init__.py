"""Request bodies: read strictly, the large ones in a process of their own."""
