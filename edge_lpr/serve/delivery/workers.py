"""Who empties the queues: a thread for each output, so that none waits for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from edge_lpr.backoff import backoff
from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.serve.deadline import Deadline
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.log_throttle import LogThrottle
from edge_lpr.serve.delivery.sender import DeliveryContext, Sender
from edge_lpr.serve.output_settings import (
    CommandSettings,
    FilesSettings,
    MqttSettings,
    OutputSettings,
    WebhookSettings,
)

__all__ = ["Deliverer", "Deliveries", "make_sender"]

_TEND = 1.0  # seconds between two looks at what is due beside events
_LONGEST_PAUSE = 60.0  # after looks that failed
_GOODBYE = 1.0  # seconds for what is said to the receiver of an output that has other settings

_logger = logging.getLogger("edge_lpr")


def make_sender(name: str, settings: OutputSettings, context: DeliveryContext) -> Sender:
    """Makes who delivers to an output.

    Args:
        name: The output's name.
        settings: Its settings.
        context: What it needs of the service.

    Raises:
        InputError: The settings cannot be used.
    """
    # Each brings a library of its own.
    if isinstance(settings, MqttSettings):
        from edge_lpr.serve.delivery.mqtt import MqttSender

        return MqttSender(name, settings, context)
    if isinstance(settings, WebhookSettings):
        from edge_lpr.serve.delivery.webhook import WebhookSender

        return WebhookSender(name, settings, context)
    if isinstance(settings, CommandSettings):
        from edge_lpr.serve.delivery.command import CommandSender

        return CommandSender(settings, context)
    assert isinstance(settings, FilesSettings)
    from edge_lpr.serve.delivery.files import FilesSender

    return FilesSender(settings, context)


class Deliverer:
    """Takes an output's events out of its queue, one after the other.

    Args:
        name: The output's name.
        sender: Who delivers; closed at the end.
        context: What it needs of the service.
    """

    def __init__(self, name: str, sender: Sender, context: DeliveryContext) -> None:
        self._name = name
        self._sender = sender
        self._queues = context.queues
        self._events: Deadline | None = None  # it ends then, be it in the middle of a queue
        self._goodbye = Deadline(0.0)
        self._tend_at, self._failures = 0.0, 0  # looks that failed in a row
        self._said = LogThrottle()
        self._thread = threading.Thread(target=self._run, name=f"output {name}", daemon=True)
        self._thread.start()

    def stop(self, seconds: float, goodbye: float) -> None:
        """Lets it deliver what can be delivered within so many seconds, and no more; returns at once.

        What is not delivered then stays queued. See `join`.

        Args:
            seconds: For events.
            goodbye: For what is said to the receiver after that.
        """
        self._goodbye = Deadline(seconds + goodbye)
        self._events = Deadline(seconds)
        self._queues.wake()

    def join(self, seconds: float) -> bool:
        """Waits for its end; returns whether it has ended."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def cut(self) -> None:
        """Ends what it is in the middle of, where that can be ended."""
        self._sender.cut()

    def _run(self) -> None:
        while self._events is None or not self._events.is_over:
            seen = self._queues.changes()
            now = time.monotonic()
            self._tend(now)
            try:
                item = self._queues.next(self._name, now)
            except Exception as e:  # the disk, for one: it may come back
                self._say(one_line(e, named=True))
                self._queues.wait(seen, _TEND)
                continue
            if item is not None:
                self._deliver(item)
            elif self._events is not None:
                break
            else:
                self._queues.wait(seen, min(_TEND, self._queues.pause(self._name, now)))
        try:
            self._sender.close(self._goodbye.left())
        except Exception as e:  # the others are to be closed too
            self._say(one_line(e, named=True))

    def _tend(self, now: float) -> None:
        """Has the sender do what is due beside events; where that fails, it waits and events do not."""
        if now < self._tend_at or (self._events is not None and self._tend_at):
            return
        why = ""
        try:
            self._sender.tend()
        except Exception as e:
            why = e.reason if isinstance(e, DeliveryError) else one_line(e, named=True)
            self._say(why)
        self._queues.tended(self._name, why)
        self._failures = self._failures + 1 if why else 0
        self._tend_at = time.monotonic() + backoff(self._failures + 1, _TEND, _LONGEST_PAUSE)

    def _deliver(self, item: Item) -> None:
        try:
            self._sender.send(item)
        except DeliveryError as e:
            self._queues.failed(item, e)
        except Exception as e:  # one event that nobody thought of ends no output
            self._queues.failed(item, DeliveryError(one_line(e, named=True), whole=False))
        else:
            self._queues.done(item)

    def _say(self, trouble: str) -> None:
        if self._said.may_say(trouble, time.monotonic()):
            _logger.warning("output %s: %s", self._name, trouble)


class Deliveries:
    """The outputs of the service.

    Args:
        context: What it needs of the service.
    """

    def __init__(self, context: DeliveryContext) -> None:
        self._context = context
        self._settings: dict[str, OutputSettings] = {}
        self._deliverers: dict[str, Deliverer] = {}
        self._is_over = False

    def start(self, outputs: Mapping[str, OutputSettings]) -> None:
        """Starts outputs, or takes other settings: those that stay the same are not disturbed.

        Args:
            outputs: All outputs by name; see also `Queues.reload`, to be called before.

        Raises:
            EdgeLprError: Settings of one cannot be used; the outputs stay as they were.
        """
        if self._is_over:  # they were read again as the end came
            return
        changed = {name: one for name, one in outputs.items() if self._settings.get(name) != one}
        senders: dict[str, Sender] = {}
        try:
            for name, one in changed.items():
                senders[name] = make_sender(name, one, self._context)
        except EdgeLprError:
            for sender in senders.values():
                sender.close(0.0)
            raise
        gone = [name for name in self._deliverers if name in changed or name not in outputs]
        self._end({name: self._deliverers.pop(name) for name in gone}, 0.0, _GOODBYE)
        for name, sender in senders.items():
            self._deliverers[name] = Deliverer(name, sender, self._context)
        self._settings = dict(outputs)

    def stop(self, seconds: float, goodbye: float) -> bool:
        """Delivers what can be within so many seconds; the rest stays queued.

        Args:
            seconds: For events.
            goodbye: For what is said to the receivers after that.

        Returns:
            Whether nothing is left in the middle of an event.
        """
        self._is_over = True
        deliverers, self._deliverers = self._deliverers, {}
        return self._end(deliverers, seconds, goodbye)

    def _end(self, deliverers: Mapping[str, Deliverer], seconds: float, goodbye: float) -> bool:
        deadline = Deadline(seconds + goodbye)
        for deliverer in deliverers.values():
            deliverer.stop(seconds, goodbye)
        late = [name for name, one in deliverers.items() if not one.join(deadline.left())]
        for name in late:
            if self._is_over:  # else it may come to its end: other settings are no reason to break it off
                deliverers[name].cut()
            _logger.warning("output %s: is left in the middle of an event, which stays queued", name)
        return not late
