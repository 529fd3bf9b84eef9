"""The documentation: ``make docs`` builds ``pages`` and what :mod:`docs.generator` writes beside them."""
