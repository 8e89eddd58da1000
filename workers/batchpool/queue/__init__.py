"""RQ as transport: messages and their queue, both ends."""
