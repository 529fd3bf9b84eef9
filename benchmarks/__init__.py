"""Benchmarks: ``python -m benchmarks throughput`` and ``python -m benchmarks stepping``."""
