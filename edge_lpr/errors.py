"""Every error that the kit raises on purpose.

The tree::

    EdgeLprError                     exit code 1: the work failed
    ├── InputError                   exit code 2: what was given cannot be used
    │   ├── SettingError             an option or argument out of its range
    │   ├── ConfigError              a configuration of `edge-lpr serve`, with all that is wrong with it
    │   ├── SourceError              an image, video, camera or address
    │   │   └── StorageError         one that its storage does not give now, and may later
    │   ├── BundleError              a model bundle: missing, damaged, not fitting
    │   ├── SignatureError           a bundle or engine that is not signed, or is not what was signed
    │   ├── ModelError               a model or checkpoint given to a host stage
    │   ├── CcpdNameError            a file name that is none of CCPD's
    │   └── MissingExtraError        an optional package that is not installed
    ├── BackendError                 an inference backend that cannot start or run
    ├── TrainingError                a fine-tuning run that cannot go on
    └── OutputError                  a result that cannot be written

What one part raises for another to catch, as a delivery that is tried again, stands where it is caught and
ends no command.

A message names the file or setting, says what was found and what was expected, and what to type next; it
is one line, and without the secrets of addresses. The command prints it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_lpr.installing import install_command
from edge_lpr.masking import masked


class EdgeLprError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What is wrong; see `edge_lpr.masking` for what is taken out of it.

    Attributes:
        exit_code: What the command returns to the shell when this error ends it.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))


class InputError(EdgeLprError):
    """What was given cannot be used; nothing is wrong with the program or the machine."""

    exit_code = 2


class SettingError(InputError):
    """An option or argument is out of its range or contradicts another."""


class ConfigError(InputError):
    """A configuration of `edge-lpr serve` that cannot be used.

    Args:
        lines: All that is wrong with it, each "FILE:LINE: KEY: what was found, what is expected".

    Attributes:
        lines: As given.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        super().__init__(lines[0] + more)
        self.lines = tuple(lines)


class SourceError(InputError):
    """An image, video, camera or address that cannot be opened or read."""


class StorageError(SourceError):
    """Storage does not give a source now; it may later."""


class BundleError(InputError):
    """A model bundle that is missing, damaged, or does not fit what is asked of it."""


class SignatureError(InputError):
    """A bundle or engine that is not signed by the key asked for, is not what was signed, or a bad key."""


class ModelError(InputError):
    """A model or checkpoint given to a host stage (export, finetune, calibrate, build), unusable."""


class CcpdNameError(InputError):
    """A file name that does not follow CCPD's format."""


class MissingExtraError(InputError):
    """An optional package is needed and not installed.

    Args:
        package: The Python module that could not be imported.
        extra: The extra of this project that installs it.
        purpose: What needs it, as the start of a sentence ("`edge-lpr export`").
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r} of the extra {extra!r}, which is not installed: "
            f"{install_command(extra)}"
        )
        self.package = package
        self.extra = extra


class BackendError(EdgeLprError):
    """An inference backend cannot start on this machine, or failed while running."""


class TrainingError(EdgeLprError):
    """A fine-tuning run cannot go on: the loss is not a number, or memory does not suffice."""


class OutputError(EdgeLprError):
    """A result cannot be written: no permission, no space, no such folder."""


def one_line(error: BaseException, limit: int = 200, *, named: bool = False) -> str:
    """Returns what an exception of another library says, as a part of one line.

    Args:
        error: The exception; its text may have many lines or none.
        limit: Most characters of its text.
        named: Whether the exception's type stands before the text.

    Returns:
        The text, each run of blanks and line ends one blank, secrets masked; the type alone where there is no
        text.
    """
    kind = type(error).__name__
    text = " ".join(masked(str(error)).split())[:limit]
    return f"{kind}: {text}" if named and text else text or kind


def shown(value: object, limit: int = 80) -> str:
    """Returns a value as a message shows it: what came from others may be of any length."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
