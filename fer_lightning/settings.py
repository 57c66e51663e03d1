"""From a section of the configuration to an object, with mistakes named as the user typed them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import InstantiationException

from fer_lightning.errors import InputError, SettingError


@contextmanager
def section(name: str) -> Iterator[None]:
    """Name the settings in errors from inside this block as they stand in a section.

    Raises:
        InputError: A setting of the section breaks its rule, or does not exist.
    """
    try:
        yield
    except SettingError as error:
        raise error.within(name) from None
    except (InstantiationException, TypeError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, SettingError):
            raise cause.within(name) from None
        if isinstance(cause, InputError):
            raise cause from None
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(cause))
        if isinstance(cause, TypeError) and unknown:
            key = f"{name}.{unknown[1]}"
            raise InputError(f"{key} must be a setting that exists, got an unknown key") from None
        raise
