"""Ray: readers on all cores of this machine, or on a cluster. Who does what, once or again, is Ray's to say.

Each reader is an actor of Ray Data's pool, which gives it one unit after the other. An actor that is killed
is started again, a unit that was with it or with a lost machine is given to another; what was committed by
then is left as it is (`worker`). Nothing is reported to anyone: Ray's usage statistics are off.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.units import Unit
from edge_lpr.archive.worker import Actor, Done, Orders
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, EdgeLprError, InputError, SettingError, one_line

__all__ = ["Cluster", "check_answers", "connected"]

_QUIET = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TQDM": "0",
}
_WAVE = 20_000  # units that Ray is given at once: each is an object of its own
_ANSWER_SECONDS = 10.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTS = 3  # tries: Ray gives its own processes half a minute, which a busy machine may need more than
_STORE_BYTES = 128 << 20  # what readers are handed is names; Ray would take a third of the memory


class Cluster:
    """What readers run on.

    Attributes:
        dashboard: The address of Ray's dashboard; "" where there is none.
        cpus: CPU cores of all machines together.
        nodes: How many machines there are.
    """

    def __init__(self, dashboard: str, cpus: int, gpus: float, nodes: int) -> None:
        self.dashboard = dashboard
        self.cpus = cpus
        self.nodes = nodes
        self._gpus = gpus

    def readers(self, settings: ReaderSettings) -> int:
        """Returns how many readers there is room for.

        Raises:
            SettingError: There is room for none.
        """
        by_cpu = self.cpus // settings.cpus_per_reader
        if settings.cpus_per_reader and not by_cpu:
            raise SettingError(
                f"--cpus-per-reader {settings.cpus_per_reader}: there are {self.cpus} CPU cores"
            )
        if not settings.gpus_per_reader:
            return by_cpu
        by_gpu = int(self._gpus / settings.gpus_per_reader + 1e-9)
        if not by_gpu:
            raise SettingError(
                f"--gpus-per-reader {settings.gpus_per_reader:g}: Ray knows of {self._gpus:g} GPUs"
            )
        return min(by_cpu, by_gpu)

    def work(self, units: Iterable[Unit], orders: Orders, settings: ReaderSettings) -> Iterator[Done]:
        """Has units done, each once or, where a reader was lost, again; gives what became of each.

        Args:
            units: What is to be done.
            orders: What readers are told.
            settings: What each reader has.

        Raises:
            EdgeLprError: What a reader raised.
        """
        import ray
        from ray.data import ActorPoolStrategy, from_items

        rows = [{"unit": unit.to_json()} for unit in units]
        for first in range(0, len(rows), _WAVE):
            wave = rows[first : first + _WAVE]
            most = min(self.readers(settings), len(wave))
            # A block for each unit: what Ray hands out, and does again, is one unit.
            data = from_items(wave, override_num_blocks=len(wave)).map(
                Actor,
                fn_constructor_args=(orders,),
                compute=ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
                num_cpus=settings.cpus_per_reader,
                num_gpus=settings.gpus_per_reader or None,
            )
            try:
                for row in data.iter_rows():
                    yield Done(**json.loads(row["done"]))
            except ray.exceptions.RayError as e:
                raise _ours(e) from e


@contextmanager
def connected(address: str | None, verbose: bool = False) -> Iterator[Cluster]:
    """While entered, Ray is there: that of a cluster, or one of this process's own with all cores.

    Args:
        address: The cluster's, as `ray.init` takes it ("auto", "10.0.0.5:6379"); None for this machine alone.
        verbose: Whether what Ray and its readers log is told.

    Raises:
        SettingError: There is no such cluster.
        BackendError: Ray does not start here.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    check_answers(address)
    before = signal.getsignal(signal.SIGTERM)
    context = _started(address, verbose)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # which Ray takes: the command has its own
        _quieten(ray, verbose)
        resources = ray.cluster_resources()
        nodes = sum(1 for node in ray.nodes() if node["Alive"])
        yield Cluster(
            str(context.dashboard_url or ""),
            int(resources.get("CPU", 0)),
            float(resources.get("GPU", 0)),
            nodes,
        )
    finally:
        ray.shutdown()


def _started(address: str | None, verbose: bool) -> Any:  # noqa: ANN401 - Ray's own
    import ray

    own: dict[str, Any] = {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }
    for left in reversed(range(_STARTS)):
        try:
            return ray.init(
                address=address or "local",
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.ERROR,
                **({} if address else own),
            )
        except Exception as e:  # Ray raises bare ones
            ray.shutdown()
            if address:
                raise SettingError(
                    f"--ray {address}: no Ray cluster answers there ({one_line(e, 160)})"
                ) from e
            if not left:
                raise BackendError(f"Ray does not start here: {one_line(e, 160)}") from e
    raise AssertionError


def check_answers(address: str | None) -> None:
    """Sees that somebody answers at an address: Ray itself asks for minutes.

    Args:
        address: See `connected`.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        SettingError: It is no address, or nobody answers there.
    """
    import ray  # noqa: F401 - that it can be

    if address in (None, "auto"):
        return
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise SettingError(
            f"--ray {address}: expected auto, or HOST:PORT of the cluster's head, as `ray start` tells it"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as e:
        said = getattr(e, "strerror", None) or one_line(e, 80)
        raise SettingError(f"--ray {address}: no Ray cluster answers there ({said}); see: ray status") from e


def _quieten(ray: Any, verbose: bool) -> None:  # noqa: ANN401 - a module
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_operator_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.INFO if verbose else logging.CRITICAL)
    if not verbose:
        # What the machines' own processes say of readers that died is printed past all loggers.
        ray._private.worker._worker_logs_enabled = False


def _ours(error: BaseException) -> EdgeLprError:
    """Returns the error of ours that a reader raised, out of what Ray wraps it in.

    Where a reader could not be opened, Ray has no more of that than the text of its traceback.
    """
    text = _COLOUR.sub("", str(error))
    found = re.findall(r"^edge_lpr\.errors\.(\w+): (.+)$", text, re.MULTILINE)
    if not found:
        return BackendError(f"Ray gave up: {one_line(Exception(text), 300)}")
    name, message = found[-1]
    return InputError(message) if name == "InputError" else BackendError(message)
