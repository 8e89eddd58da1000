"""Charts as SVG text, and figures as text: pure functions, numbers in, text out."""
