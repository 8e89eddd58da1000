"""Answers before they are encoded."""

from typing import Any

Document = dict[str, Any]
"""A JSON object that the API sends. Its fields are those of a response model: tests validate every
document against the models, which would cost the service more time than making it."""
