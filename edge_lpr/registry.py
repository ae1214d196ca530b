"""What can be chosen by name, each choice a file that registers itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from threading import RLock
from typing import Generic, Protocol, TypeVar

from edge_lpr.errors import SettingError

__all__ = ["Choice", "Registry"]


class Choice(Protocol):
    """What a registry holds.

    Attributes:
        name: What it is chosen by.
        rank: Its place among the others, the lowest first.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def rank(self) -> int:
        """See the class."""
        ...


T = TypeVar("T", bound=Choice)


class Registry(Generic[T]):
    """The choices of one kind.

    Those that the kit brings lie in one package, a module each, and register as they are imported: that
    happens the first time that somebody asks. One from elsewhere registers by the same call, and is in then.

    Args:
        what: What a choice is called in messages, "backend".
        package: The package whose modules register themselves; "" where nothing has to be imported.
        check: Called with a choice and those that are in already before it is added; raises where they do not
            go together.
    """

    def __init__(
        self, what: str, package: str = "", check: Callable[[T, Iterable[T]], None] | None = None
    ) -> None:
        self._what = what
        self._package = package
        self._check = check
        self._choices: dict[str, T] = {}
        self._loaded = not package
        self._loading = False
        self._lock = RLock()

    def register(self, choice: T) -> T:
        """Adds a choice, and returns it.

        Raises:
            SettingError: Another one has its name, or it does not go together with one.
        """
        known = self._choices.get(choice.name)
        if known == choice:
            return choice
        if known is not None:
            raise SettingError(
                f"{self._what} {choice.name!r}: registered twice; give one of them another name"
            )
        if self._check is not None:
            self._check(choice, self._choices.values())
        self._choices[choice.name] = choice
        return choice

    def names(self) -> tuple[str, ...]:
        """Returns the names, by rank."""
        return tuple(choice.name for choice in self)

    def __iter__(self) -> Iterator[T]:
        self._load()
        return iter(sorted(self._choices.values(), key=lambda choice: choice.rank))

    def __getitem__(self, name: str) -> T:
        """Returns a choice.

        Raises:
            SettingError: There is none of that name.
        """
        self._load()
        if name not in self._choices:
            raise SettingError(f"{self._what} {name!r}: expected one of {', '.join(self.names())}")
        return self._choices[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._choices

    def _load(self) -> None:
        if self._loaded:
            return
        with self._lock:
            # A module that asks while this thread imports it gets what is there by then; other threads wait.
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                package = import_module(self._package)
                for module in iter_modules(package.__path__):
                    if not module.name.startswith("_"):
                        import_module(f"{self._package}.{module.name}")
            finally:
                self._loading = False
            self._loaded = True
