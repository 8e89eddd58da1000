"""Parts of bodies of a megabyte; made where a test needs one, not in each process that collects."""


def numbered_fields(count: int = 80_000, names: int = 80_000) -> bytes:
    """The inside of a JSON object with so many fields, whose names repeat after `names`."""
    return b",".join(b'"f%d":1' % (n % names) for n in range(count))


def repeated(value: bytes, count: int) -> bytes:
    """The inside of a JSON array that holds `value` so often."""
    return b",".join([value] * count)
