"""Addresses as cameras, recorders, clouds and content networks have them, each with a secret of its own."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

HOST = "127.0.0.1:1"
"""Nothing listens there."""


@dataclass(frozen=True)
class Form:
    """An address and what of it nobody may see.

    Attributes:
        name: Whose form it is.
        address: The address.
        secrets: The secrets in it, decoded.
        user: The user that belongs to the first secret, where it is a password.
        slip: Whether it is no address, but was meant as one or is a part of one.
    """

    name: str
    address: str
    secrets: tuple[str, ...]
    user: str = ""
    slip: bool = False

    def __str__(self) -> str:
        return self.name

    def leaks(self, text: str) -> list[str]:
        """Returns the spellings of the secrets that stand in a text."""
        folded = text.casefold()
        return [s for secret in self.secrets for s in self.spellings(secret) if s.casefold() in folded]

    def spellings(self, secret: str) -> set[str]:
        once = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
        twice = {quote(s, safe="") for s in once}
        coded = {base64.b64encode(text.encode()).decode() for text in (secret, f"{self.user}:{secret}")}
        return once | twice | coded | {quote(s, safe="") for s in coded}


# {h} is host and port, {s} the secret, {e} the secret percent-encoded.
_PLAIN = (
    ("Hikvision", "rtsp://admin:{s}@{h}/Streaming/Channels/101"),
    ("Hikvision, old", "rtsp://admin:{s}@{h}/h264/ch1/main/av_stream"),
    ("Hikvision, playback", "rtsp://{h}/Streaming/tracks/101?starttime=20261101t000000z&password={s}"),
    ("Dahua", "rtsp://admin:{s}@{h}/cam/realmonitor?channel=1&subtype=0"),
    ("Dahua, ONVIF", "rtsp://{h}/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif&token={s}"),
    ("Axis", "rtsp://root:{s}@{h}/axis-media/media.amp?videocodec=h264"),
    ("Axis, session", "http://{h}/axis-cgi/mjpg/video.cgi?camera=1&access_token={s}"),
    ("Reolink, RTMP", "rtmp://{h}/bcs/channel0_main.bcs?channel=0&stream=0&user=admin&password={s}"),
    ("Reolink, FLV", "http://{h}/flv?port=1935&app=bcs&stream=channel0_main.bcs&user=admin&password={s}"),
    ("Foscam, MJPEG", "http://{h}/videostream.cgi?user=admin&pwd={s}"),
    ("Foscam, HD", "http://{h}/cgi-bin/CGIStream.cgi?cmd=GetMJStream&usr=admin&pwd={s}"),
    ("Foscam, psw", "http://{h}/snapshot.cgi?usr=admin&psw={s}"),
    ("XiongMai", "rtsp://{h}/user=admin_password={s}_channel=1_stream=0.sdp?real_stream"),
    ("XiongMai, &", "rtsp://{h}/user=admin&password={s}&channel=1&stream=0.sdp"),
    ("Vstarcam", "http://{h}/livestream.cgi?streamid=10&loginuse=admin&loginpas={s}"),
    ("Zmodo", "rtsp://{h}/0/admin:{s}/main"),
    ("UniFi", "rtsps://{h}/{s}?enableSrtp"),
    ("Tuya", "rtsps://{h}/v1/proxy/echo_show/{s}?signInfo={s}&e=1&a=tuya"),
    ("Nest", "rtsps://{h}/sdm_live_stream/{s}?auth=g.0.{s}"),
    ("Aliyun Live", "rtmp://{h}/app/stream?auth_key=1770000000-0-0-{s}"),
    ("Aliyun, digest in the path", "http://{h}/202611260000/{s}/live/1.flv"),
    ("Tencent Live", "http://{h}/live/camera.flv?txSecret={s}&txTime=6566AB12"),
    ("Tencent, push", "rtmp://{h}/live/{s}?txSecret={s}&txTime=6566AB12"),
    ("YouTube", "rtmp://{h}/live2/{s}"),
    ("RTMP, instance", "rtmp://{h}/live/_definst_/{s}"),
    ("RTMP, librtmp", "rtmp://{h}/live playpath={s} swfVfy=1"),
    ("AWS, signed", "https://{h}/clip.mp4?X-Amz-Algorithm=AWS4&X-Amz-Credential={s}&X-Amz-Signature={s}"),
    ("CloudFront", "https://{h}/clip.mp4?Expires=1770000000&Signature={s}&Key-Pair-Id=K1"),
    ("Azure SAS", "https://{h}/clip.mp4?sv=2025&sr=b&sig={s}&se=2027"),
    ("Akamai", "https://{h}/live.m3u8?hdnts=exp=1770000000~acl=/*~hmac={s}"),
    ("Wowza", "http://{h}/live/camera/playlist.m3u8?wowzatokenendtime=1770000000&wowzatokenhash={s}"),
    ("nginx secure_link", "http://{h}/clip.mp4?md5={s}&expires=1770000000"),
    ("one letter", "http://{h}/v.mjpg?u=admin&p={s}"),
    ("sign", "http://{h}/live/camera.flv?sign={s}&t=1770000000"),
    ("SRT stream id", "srt://{h}?mode=caller&streamid=#!::r=live,m=request,u=admin,s={s}"),
    ("SRT passphrase", "srt://{h}?passphrase={s}&pbkeylen=16"),
    ("fragment", "rtsp://{h}/live#token={s}"),
    ("matrix parameter", "rtsp://{h}/live;jsessionid={s}/1"),
    ("encoded query", "rtsp://{h}/live%3Fpassword%3D{s}"),
    ("encoded twice", "rtsp://{h}/live%253Fpassword%253D{s}"),
    ("token as user", "rtsp://{s}@{h}/1"),
    ("no user", "rtsp://:{s}@{h}/1"),
    ("capitals", "RTSP://ADMIN:{s}@{h}/1"),
    ("IPv6", "rtsp://admin:{s}@[::1]:1/1"),
    ("TCP", "tcp://{h}?token={s}"),
)
_CHANGED = (
    ("with @ and /", "rtsp://admin:p@{s}/w:rd@{h}/1", "p@{s}/w:rd", True),
    ("with ?", "rtsp://admin:{s}?x{s}@{h}/1", "{s}?x{s}", True),
    ("with a blank", "rtsp://admin:my {s} word@{h}/1", "my {s} word", True),
    ("encoded", "rtsp://admin:{e}@{h}/1", "Ä@{s}/?#", False),
    ("encoded in the query", "http://{h}/v?pwd={e}", "ß {s}&=", False),
)
_SLIPS = (
    ("one slash", "rtsp:/admin:{s}@{h}/1"),
    ("no slash", "rtsp:admin:{s}@{h}/1"),
    ("no colon", "rtsp//admin:{s}@{h}/1"),
    ("three slashes", "rtsp:///admin:{s}@{h}/1"),
    ("backslashes", "rtsp:\\\\admin:{s}@{h}\\1"),
    ("unknown scheme", "rtps://admin:{s}@{h}/1"),
    ("file scheme", "file://admin:{s}@{h}/1"),
    ("no scheme", "admin:{s}@{h}/1"),
    ("no scheme, query", "{h}/v?user=admin&password={s}"),
    ("encoded whole", "rtsp%3A%2F%2Fadmin%3A{s}%40{h}%2F1"),
    ("quotes", "'rtsp://admin:{s}@{h}/1'"),
    ("cut by the shell, head", "rtsp://admin:{s}"),
    ("cut by the shell, tail", "{s}@{h}/1"),
    ("name before a slip", "gate=rtsp:/admin:{s}@{h}/1"),
    ("pipeline", 'rtspsrc location=rtsp://u:{s}@{h}/1 user-id=u user-pw="{s} ! x" ! decodebin ! appsink'),
)


def forms(host: str = HOST) -> list[Form]:
    """Returns all forms with one host and port."""
    found = []
    for number, (name, address) in enumerate(_PLAIN):
        secret = f"Zq{number:02}Kw7vXr3TmB9y"
        found.append(Form(name, address.format(h=host, s=secret, e=secret), (secret,), "admin"))
    for number, (name, address, whole, bare) in enumerate(_CHANGED):
        core = f"Hd{number:02}Fn4cPj8L"
        secret = whole.format(s=core)
        text = address.format(h=host, s=core, e=quote(secret, safe=""))
        found.append(Form(f"password {name}", text, (secret, core), "admin", bare and " " not in secret))
    for number, (name, address) in enumerate(_SLIPS):
        secret = f"Sv{number:02}Gb6xNt2C"
        found.append(Form(f"slip: {name}", address.format(h=host, s=secret), (secret,), "admin", True))
    return found


FORMS = forms()
