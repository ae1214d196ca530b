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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.units import Unit
from edge_lpr.archive.worker import Actor, Orders, UnitResult, error_of, try_worker
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, SettingError, one_line

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

    Args:
        dashboard: The address of Ray's dashboard; "" where there is none.
        machines: CPU cores and GPUs of each machine.
        shared: Whether it is one that others use too, and not this process's own.

    Attributes:
        dashboard: See above.
        cpus: CPU cores of all machines together.
        nodes: How many machines there are.
    """

    def __init__(self, dashboard: str, machines: Sequence[tuple[float, float]], shared: bool = False) -> None:
        self.dashboard = dashboard
        self.cpus = int(sum(cpus for cpus, _ in machines))
        self.nodes = len(machines)
        self._machines = machines
        self._shared = shared

    def readers(self, settings: ReaderSettings) -> int:
        """Returns how many readers there is room for: each has all that it has on one machine.

        Raises:
            SettingError: There is room for none.
        """
        by_cpu = [int(cpus // settings.cpus_per_reader) for cpus, _ in self._machines]
        if not any(by_cpu):
            most = max((cpus for cpus, _ in self._machines), default=0)
            raise SettingError(
                f"--cpus-per-reader {settings.cpus_per_reader}: no machine has more than {most:g} CPU cores"
            )
        if not settings.gpus_per_reader:
            return sum(by_cpu)
        by_gpu = [int(gpus / settings.gpus_per_reader + 1e-9) for _, gpus in self._machines]
        readers = sum(min(pair) for pair in zip(by_cpu, by_gpu, strict=True))
        if not readers:
            most = max(gpus for _, gpus in self._machines)
            raise SettingError(
                f"--gpus-per-reader {settings.gpus_per_reader:g} with --cpus-per-reader "
                f"{settings.cpus_per_reader}: no machine has both free; Ray knows of {most:g} GPUs on one"
            )
        return readers

    def try_reader(self, orders: Orders, settings: ReaderSettings) -> None:
        """Opens one reader, on whichever machine has room: what is wrong with all is told before any work.

        Args:
            orders: What readers are told.
            settings: What each reader has.

        Raises:
            EdgeLprError: It cannot be opened.
        """
        import ray

        self.readers(settings)  # for what there is no room, Ray would wait
        task = ray.remote(
            num_cpus=settings.cpus_per_reader, num_gpus=settings.gpus_per_reader or None, max_retries=1
        )(try_worker)
        try:
            error = ray.get(task.remote(orders))
        except ray.exceptions.RayError as e:
            raise _gave_up(e) from e
        if error:
            raise error_of(error, self._shared)

    def work(self, units: Iterable[Unit], orders: Orders, settings: ReaderSettings) -> Iterator[UnitResult]:
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
                    if row["error"]:
                        raise error_of(row["error"], self._shared)
                    yield UnitResult(**json.loads(row["done"]))
            except ray.exceptions.RayError as e:
                raise _gave_up(e) from e


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
    from ray._private import ray_constants

    check_answers(address)
    before = signal.getsignal(signal.SIGTERM)
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    try:
        context = _started(address, verbose)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # which Ray takes: the command has its own
        _quieten(ray, verbose)
        there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        machines = [(float(one.get("CPU", 0)), float(one.get("GPU", 0))) for one in there]
        yield Cluster(str(context.dashboard_url or ""), machines, address is not None)
    finally:
        ray.shutdown()
        ray_constants.ENABLE_RAY_CLUSTER = clusters


def _started(address: str | None, verbose: bool) -> Any:  # noqa: ANN401 - Ray's own
    import ray
    from ray._private import ray_constants

    # Ray runs what anybody sends it, and asks for no password: of this machine alone it is on 127.0.0.1. It
    # has no setting for that where clusters are meant to be.
    ray_constants.ENABLE_RAY_CLUSTER = address is not None
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
                    f"--ray {address}: no Ray cluster answers there ({one_line(e, 160)}); where it asks for "
                    "a token, set RAY_AUTH_MODE to token, and put the head's ~/.ray/auth_token here too"
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


def _gave_up(error: BaseException) -> BackendError:
    """Returns what Ray says, in one line: readers' own errors come another way (`Actor`)."""
    return BackendError(f"Ray gave up: {one_line(Exception(_COLOUR.sub('', str(error))), 300)}")
