"""The version of the package: said here and nowhere else."""

__all__ = ["__version__"]

__version__ = "1.0.0"
