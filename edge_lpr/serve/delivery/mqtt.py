"""Events to an MQTT broker, version 3.1.1 or 5.

An event has left the queue once the broker has acknowledged it; with `qos` 0, which knows no acknowledgement,
once it was written to the connection. The library connects anew by itself, in a thread of its own.
"""

from __future__ import annotations

import hashlib
import logging
import math
import ssl
import sys
import threading
import time
from contextlib import suppress

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_lpr.errors import one_line
from edge_lpr.io.tls import client_context
from edge_lpr.masking import masked, remember_secret
from edge_lpr.pipeline.wall_clock import iso, utc
from edge_lpr.serve.deadline import Deadline
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.log_throttle import LogThrottle
from edge_lpr.serve.delivery.sender import DeliveryContext, Sender
from edge_lpr.serve.delivery.topics import OFFLINE, ONLINE, Topics, discovery
from edge_lpr.serve.output_settings import MqttSettings

__all__ = ["MqttSender"]

_ANSWER = 10.0  # seconds that a broker may take to acknowledge
_KEEPALIVE = 30  # seconds after which either side asks whether the other one is there
_FIRST = 3.0  # seconds that the first event waits for the connection
_PACKET_OVERHEAD = 32  # bytes beside topic and payload, at most
_MOST_LOST_AT_CROPS = 2  # connections in a row, before crops so large are left out
_AHEAD = 60.0  # seconds that a passage may be ahead of this machine's clock
_PAUSES = 1, 60  # seconds between two tries to connect: at first, and at most

_logger = logging.getLogger("edge_lpr")


class RefusedError(DeliveryError):
    """The broker has answered, and does not take messages in a topic from this user."""


class MqttSender(Sender):
    """Publishes to one broker.

    Args:
        name: The output's name.
        settings: Its settings.
        context: What it needs of the service.

    Raises:
        InputError: The settings cannot be used: a file of certificates that is none.
    """

    def __init__(self, name: str, settings: MqttSettings, context: DeliveryContext) -> None:
        remember_secret(settings.password)
        self._name = name
        self._settings = settings
        self._context = context
        self._topics = Topics(settings.topic)
        self._where = f"{settings.host}:{settings.port}"
        self._trouble = f"{self._where} is not connected yet"
        self._refused: dict[int, str] = {}  # what the broker says of messages that it does not take
        self._open: tuple[str, bytes, paho.MQTTMessageInfo] | None = None  # not acknowledged yet
        self._said = LogThrottle()
        self._cameras: dict[str, bool] = {}  # as told to the broker
        self._newest: dict[str, str] = {}  # when the vehicle came that a camera's last event is of
        self._anew = self._accepted = False
        self._lost = 0  # how often the connection was
        self._most: float = math.inf  # bytes of a packet, as the broker says
        self._too_large: float = math.inf  # bytes of crops at which it ended the connection
        self._lost_at_crops = 0  # in a row
        self._ending = threading.Event()
        self._tried = threading.Event()  # that it connects at all
        self._client = self._make(name)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {name}", daemon=True)

    def send(self, item: Item) -> None:
        """Publishes an event, and what goes with it; see `Sender.send`."""
        self._tried.wait(_FIRST)
        if not self._client.is_connected():
            raise DeliveryError(self._trouble)
        record = item.record
        camera = record["camera"]
        crop = self._context.jpeg(record["crop"]) if self._settings.pictures else None
        lasting = bool(self._settings.discovery)
        lost = self._lost
        if crop is not None and len(crop) < self._too_large:
            self._tell_crop(self._topics.crop(camera), crop, lasting)
        # An older passage that was tried again is not the last one; nor one of a clock that was set since.
        newest = self._newest.get(camera, "")
        if lasting and (record["first_utc"] >= newest or newest > iso(utc(time.time() + _AHEAD))):
            self._tell(self._topics.last(camera), item.body.encode())
            self._newest[camera] = record["first_utc"]
        self._publish(self._topics.events(camera), item.body.encode(), retain=False)
        if crop is not None and len(crop) < self._too_large:
            self._judge_crop(len(crop), self._lost != lost)

    def tend(self) -> None:
        """Tells which cameras are there, and that the service is."""
        # Not before: who had these settings until now has said good-bye under the same name.
        if self._thread.ident is None:
            self._thread.start()
        if not self._client.is_connected():
            return
        cameras = dict(self._context.cameras())
        anew, self._anew = self._anew, False
        if anew:
            self._cameras = {}
        elif cameras == self._cameras:
            return
        try:
            for camera, is_live in cameras.items():
                if camera not in self._cameras and self._settings.discovery:
                    topic, payload = discovery(self._settings, self._context.queues.identity(), camera)
                    self._tell(topic, payload.encode())
                if self._cameras.get(camera) != is_live:
                    status = ONLINE if is_live else OFFLINE
                    self._tell(self._topics.camera_status(camera), status.encode())
                self._cameras[camera] = is_live
            for camera in set(self._cameras) - set(cameras):
                self._forget(camera)
                del self._cameras[camera]
            if anew:
                self._tell(self._topics.status, ONLINE.encode())
        except DeliveryError:
            self._anew = True
            raise

    def close(self, seconds: float) -> None:
        """Says that the service is not there any more, and leaves; see `Sender.close`."""
        deadline = Deadline(seconds)
        self._ending.set()
        self._tried.set()
        if self._client.is_connected():
            topics = [*map(self._topics.camera_status, self._cameras), self._topics.status]
            sent = [self._client.publish(one, OFFLINE.encode(), self._settings.qos, True) for one in topics]
            for message in sent:  # together: a broker that hangs is waited for once
                with suppress(ValueError, RuntimeError):
                    message.wait_for_publish(deadline.left())
        self._client.disconnect()
        if self._thread.ident is not None:
            self._thread.join(deadline.left())

    def _make(self, name: str) -> paho.Client:
        settings = self._settings
        own = hashlib.sha256(f"{self._context.queues.identity()} {name}".encode()).hexdigest()[:12]
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id or f"edge-lpr-{own}",
            protocol=paho.MQTTv5 if settings.version == "5" else paho.MQTTv311,
        )
        if settings.user:
            client.username_pw_set(settings.user, settings.password or None)
        if settings.tls:
            client.tls_set_context(self._tls_context())
            client.tls_insecure_set(settings.any_certificate)
        client.will_set(self._topics.status, OFFLINE, qos=settings.qos, retain=True)
        client.reconnect_delay_set(*_PAUSES)
        client.connect_timeout = _ANSWER
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _tls_context(self) -> ssl.SSLContext:
        given = (getattr(self._settings, key) for key in ("ca", "certificate", "key"))
        ca, certificate, key = (None if file is None else self._context.folder / file for file in given)
        return client_context(
            f"outputs.{self._name}: ",
            any_certificate=self._settings.any_certificate,
            ca=ca,
            certificate=certificate,
            key=key,
        )

    def _run(self) -> None:
        """Keeps the connection, until it is closed."""
        while not self._ending.is_set():
            try:
                self._client.connect_async(self._settings.host, self._settings.port, _KEEPALIVE)
                self._client.loop_forever(retry_first_connection=True)
            except Exception as e:  # whatever a broker sends, the thread goes on
                self._say(f"{self._where}: {one_line(e, named=True)}")
            self._ending.wait(_PAUSES[0])

    def _publish(self, topic: str, payload: bytes, *, retain: bool, qos: int | None = None) -> None:
        """Returns once the broker has a message.

        Args:
            topic: Its topic.
            payload: What it says.
            retain: Whether the broker keeps it for those who come later.
            qos: Of MQTT; that of the settings by default.

        Raises:
            RefusedError: It does not take it from this user.
            DeliveryError: It has not.
        """
        size = len(topic.encode()) + len(payload) + _PACKET_OVERHEAD
        if size > self._most:
            raise RefusedError(
                f"{self._where} takes packets of {self._most:g} bytes at most, and a message in {topic} has "
                f"{size}; have it take larger ones"
            )
        # The library sends again by itself what was not acknowledged: no second time by us.
        if self._open is not None and self._open[:2] == (topic, payload):
            sent = self._open[2]
        else:
            sent = self._client.publish(topic, payload, self._settings.qos if qos is None else qos, retain)
        self._open = (topic, payload, sent)
        try:
            sent.wait_for_publish(_ANSWER)
            if not sent.is_published():
                raise DeliveryError(f"{self._where} has not acknowledged within {_ANSWER:g} s")
            sent.wait_for_publish(0)  # raises where the connection was lost meanwhile, with qos 0
        except (ValueError, RuntimeError) as e:
            self._open = None
            raise DeliveryError(f"{self._where}: {one_line(e)}") from e
        self._open = None
        refused = self._refused.pop(sent.mid, "")
        if refused:
            raise RefusedError(f"{self._where} does not take messages in {topic}: {refused}")

    def _tell(self, topic: str, payload: bytes, retain: bool = True) -> None:
        """Publishes what goes with events, or beside them; where the broker refuses it, that is only said.

        Raises:
            DeliveryError: The broker does not answer.
        """
        try:
            self._publish(topic, payload, retain=retain)
        except RefusedError as e:
            self._say(e.reason)

    def _tell_crop(self, topic: str, crop: bytes, retain: bool) -> None:
        """Publishes a crop without an acknowledgement, which is not sent again: it holds up no event."""
        try:
            self._publish(topic, crop, retain=retain, qos=0)
        except DeliveryError as e:
            self._say(e.reason)

    def _judge_crop(self, size: int, was_lost: bool) -> None:
        """Leaves out crops from a size on at which the broker ends the connection again and again."""
        self._lost_at_crops = self._lost_at_crops + 1 if was_lost else 0
        if self._lost_at_crops >= _MOST_LOST_AT_CROPS:
            self._too_large, self._lost_at_crops = size, 0
            self._say(f"{self._where} ends the connection at crops of {size} bytes: such are left out")

    def _forget(self, camera: str) -> None:
        """Takes away what is retained of a camera that is no more."""
        topics = [self._topics.camera_status(camera)]
        if self._settings.discovery:
            topics.append(discovery(self._settings, self._context.queues.identity(), camera)[0])
            topics += [self._topics.last(camera), self._topics.crop(camera)]
        for topic in topics:
            self._tell(topic, b"")

    def _say(self, trouble: str) -> None:
        self._trouble = trouble
        if self._said.may_say(trouble, time.monotonic()):
            _logger.warning("output %s: %s", self._name, masked(trouble))

    def _on_connect(
        self,
        client: paho.Client,
        data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._say(f"{self._where} refuses: {reason}")
            self._tried.set()
            return
        self._most = getattr(properties, "MaximumPacketSize", math.inf)
        self._anew = self._accepted = True
        self._tried.set()
        self._context.queues.retry_now(self._name)

    def _on_connect_fail(self, client: paho.Client, data: object) -> None:
        error = sys.exc_info()[1]  # the library tells of it while it handles it
        why = "" if error is None else f": {one_line(error, 120)}"
        self._say(f"{self._where} cannot be reached{why}")
        self._tried.set()

    def _on_disconnect(
        self,
        client: paho.Client,
        data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._lost += 1
        if self._accepted and not self._ending.is_set():
            self._say(f"{self._where}: the connection was lost ({reason})")
        self._accepted = False

    def _on_publish(
        self, client: paho.Client, data: object, mid: int, reason: ReasonCode, properties: Properties
    ) -> None:
        if reason.is_failure:
            self._refused[mid] = str(reason)
