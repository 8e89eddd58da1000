"""The HTTP edge: Flask routes, streams, OpenAPI, server."""
