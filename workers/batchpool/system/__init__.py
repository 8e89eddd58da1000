"""CPUs, processes and memory of this machine; CPython's internals."""
