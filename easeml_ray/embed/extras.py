"""Packages that only some embeddings need."""

from __future__ import annotations

from importlib.util import find_spec

from easeml_ray.errors import InvalidArgument

__all__ = ["installed", "require"]


def installed(*modules: str) -> bool:
    """Return whether all modules can be imported, without importing them.

    Parameters
    ----------
    *modules : str
        Names of top-level modules.

    Returns
    -------
    bool
        Whether each was found.

    Examples
    --------
    >>> installed("json"), installed("json", "a_module_that_nobody_has")
    (True, False)
    """
    return all(find_spec(module) is not None for module in modules)


def require(embedding: str, extra: str, *modules: str) -> None:
    """Say how to install what an embedding needs, unless it is there.

    Parameters
    ----------
    embedding : str
        Name of the embedding.
    extra : str
        The extra of easeml_ray that brings the modules.
    *modules : str
        Names of top-level modules.

    Raises
    ------
    InvalidArgument
        If a module is missing; the hint is the command that installs it.
    """
    missing = [module for module in modules if not installed(module)]
    if missing:
        raise InvalidArgument(
            f"the embedding {embedding!r} needs {', '.join(missing)}, which is not installed",
            hint=f"pip install 'easeml_ray[{extra}]'",
            argument="embeddings",
        )
