"""What an MQTT output publishes, and where.

Home Assistant finds each camera as a device by one retained message (device discovery, from Home Assistant
2024.11 on), and keeps it by the name of the topic.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from edge_lpr._version import __version__
from edge_lpr.serve.output_settings import MqttSettings
from edge_lpr.serve.record import State

__all__ = ["OFFLINE", "ONLINE", "Topics", "discovery"]

ONLINE, OFFLINE = "online", "offline"
"""What stands, retained, in the topics of availability."""


@dataclass(frozen=True)
class Topics:
    """The topics below a prefix.

    Attributes:
        prefix: What all of them begin with.
    """

    prefix: str

    @property
    def status(self) -> str:
        """Whether the service runs: retained, and the broker says "offline" where it goes without a word."""
        return f"{self.prefix}/status"

    def events(self, camera: str) -> str:
        """A camera's events, as they happen."""
        return f"{self.prefix}/events/{camera}"

    def crop(self, camera: str) -> str:
        """The crop of each event, as JPEG."""
        return f"{self.prefix}/crops/{camera}"

    def camera_status(self, camera: str) -> str:
        """Whether frames of a camera arrive: retained."""
        return f"{self.prefix}/cameras/{camera}/status"

    def last(self, camera: str) -> str:
        """A camera's newest event, retained: for what shows the last plate. With discovery alone."""
        return f"{self.prefix}/cameras/{camera}/last"


def discovery(settings: MqttSettings, identity: str, camera: str) -> tuple[str, str]:
    """Returns the topic and the payload by which Home Assistant finds a camera.

    Args:
        settings: The output's settings; `discovery` is Home Assistant's prefix.
        identity: The service's own name, which stays the same.
        camera: The camera's name.
    """
    topics = Topics(settings.topic)
    device = f"edge_lpr_{identity}_{camera}"
    seen = {"availability": [{"topic": topics.status}, {"topic": topics.camera_status(camera)}]}
    components: dict[str, dict[str, Any]] = {
        f"{device}_plate": {
            "platform": "sensor",
            "name": "Last plate",
            "icon": "mdi:car-back",
            "state_topic": topics.last(camera),
            "value_template": "{{ value_json.text }}",
            "json_attributes_topic": topics.last(camera),
        },
        f"{device}_passage": {
            "platform": "event",
            "name": "Passage",
            "icon": "mdi:car-arrow-right",
            "event_types": list(get_args(State)),
            "state_topic": topics.events(camera),
            # What is not `event_type` becomes attributes: text, action, direction, matches, …
            "value_template": "{{ dict(value_json, event_type=value_json.state) | tojson }}",
            "availability_mode": "all",
            **seen,
        },
        f"{device}_connection": {
            "platform": "binary_sensor",
            "name": "Camera",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.camera_status(camera),
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        },
    }
    if settings.pictures:
        components[f"{device}_crop"] = {
            "platform": "image",
            "name": "Last crop",
            "image_topic": topics.crop(camera),
            "content_type": "image/jpeg",
        }
    for name, component in components.items():
        component["unique_id"] = name
        component.setdefault("availability", [{"topic": topics.status}])
    payload = {
        "device": {
            "identifiers": [device],
            "name": camera,
            "manufacturer": "edge-lpr",
            "model": "camera",
            "sw_version": __version__,
        },
        "origin": {"name": "edge-lpr", "sw_version": __version__},
        "components": components,
        "qos": settings.qos,
    }
    return f"{settings.discovery}/device/{device}/config", json.dumps(payload, ensure_ascii=False)
