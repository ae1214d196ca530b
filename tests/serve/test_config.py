"""A configuration is taken, or each thing that is wrong with it is told by its line, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.videos import write_video

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.errors import ConfigError, InputError
from edge_lpr.masking import masked
from edge_lpr.serve.config import Config, load_config
from edge_lpr.serve.output_settings import CommandSettings, FilesSettings, MqttSettings, WebhookSettings
from edge_lpr.serve.web.auth import ScryptHash

GATE = '[cameras.gate]\nsource = "rtsp://admin:hunter22@10.0.0.5/1"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_video(tmp_path / "street.mp4")
    (tmp_path / "note.txt").write_text("no video", encoding="utf-8")
    return tmp_path


def load(folder: Path, text: str, **environment: str) -> Config:
    path = folder / "cameras.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environment)


def wrong(folder: Path, text: str, **environment: str) -> list[str]:
    """What is wrong with a configuration, without the file's name: "LINE: KEY: …"."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environment)
    assert caught.value.exit_code == 2 and str(caught.value).startswith(caught.value.lines[0])
    return [line.removeprefix(f"{folder / 'cameras.toml'}:") for line in caught.value.lines]


def test_a_bundle_of_the_package_is_had_by_its_name(tmp_path: Path) -> None:
    assert load(tmp_path, GATE + "[reader]\nbundle = 'accurate'").settings.reader.bundle == "accurate"
    (tmp_path / "accurate").mkdir()
    given = load(tmp_path, GATE + "[reader]\nbundle = 'accurate'").settings.reader.bundle
    assert given == str(tmp_path / "accurate")


def test_all_of_a_good_one_is_taken_and_paths_are_those_beside_it(folder: Path) -> None:
    (folder / "open").touch()
    (folder / "plates.csv").touch()
    settings = load(
        folder,
        """
        [service]
        data = "data"
        [cameras.gate]
        source = "street.mp4"
        loop = true
        masks = [[[0, 0], [0.5, 0], [0.5, 0.5]]]
        line = [[0, 0.5], [1, 0.5]]
        direction = "line"
        schedule = ["Mon-Fri 07:00-19:00", "Sat"]
        [cameras.yard]
        source = "0"
        [lists.residents]
        action = "allow"
        file = "plates.csv"
        plates = ["京A12345", { plate = "粤B1234D", name = "Ann", until = 2027-01-31 }]
        outputs = ["barrier"]
        cameras = ["gate"]
        [outputs.barrier]
        type = "command"
        command = ["./open", "now"]
        [outputs.log]
        type = "files"
        folder = "events"
        [reader.thresholds]
        min_score = 0.8
        """,
    ).settings
    assert settings.service.data == str(folder / "data")
    assert settings.cameras["gate"].source == str(folder / "street.mp4")
    assert settings.cameras["gate"].masks == [[(0, 0), (0.5, 0), (0.5, 0.5)]]
    assert settings.cameras["yard"].source == "0"
    assert settings.lists["residents"].file == str(folder / "plates.csv")
    assert [getattr(p, "until", p) for p in settings.lists["residents"].plates] == ["京A12345", "2027-01-31"]
    barrier, log = settings.outputs["barrier"], settings.outputs["log"]
    assert isinstance(barrier, CommandSettings) and isinstance(log, FilesSettings)
    assert barrier.command == [str(folder / "open"), "now"] and log.folder == str(folder / "events")


SCHEMA = [
    ("[service]\ndate = 'x'\n" + GATE, "2: service.date: no such key; did you mean 'data'?"),
    ("[webb]\n" + GATE, "1: webb: no such key; did you mean 'web'?"),
    ("[cameras.gate]\nloop = true", "1: cameras.gate.source: is missing: address, video or device"),
    ("[service]", "1: cameras: is missing: a table [cameras.NAME] with a source for each; edge-lpr serve"),
    (GATE + "transport = 'tpc'", "3: cameras.gate.transport: 'tpc', expected 'tcp' or 'udp'; did you mean"),
    (GATE + "decide_within = 0.1", "3: cameras.gate.decide_within: 0.1, expected 0.2 or more"),
    (GATE + "decide_within = 61", "3: cameras.gate.decide_within: 61, expected 60 or less"),
    (GATE + "max_fps = nan", "3: cameras.gate.max_fps: nan, expected a number that has an end"),
    (GATE + "enabled = 'yes'", "3: cameras.gate.enabled: 'yes', expected true or false"),
    (GATE + "min_plate_width = 2.5", "3: cameras.gate.min_plate_width: 2.5, expected a whole number"),
    (GATE + "regions = 5", "3: cameras.gate.regions: 5, expected a list in [ ]"),
    (GATE + "regions = [\n [[0, 0], [1, 0]],\n]", "4: cameras.gate.regions[0]: [[0, 0], [1, 0]], expected 3"),
    (GATE + "masks = [[[0, 0],\n[0, 2],\n[1, 1]]]", "4: cameras.gate.masks[0][1][1]: 2, expected 1 or less"),
    ("[cameras]\n'bad name' = {source = '0'}", "2: cameras.bad name: expected a name of letters"),
    ("cameras = 5", "1: cameras: 5, expected a table"),
    (GATE + "[outputs.a]", "3: outputs.a: type is missing, expected 'mqtt', 'webhook', 'command' or 'files'"),
    (GATE + "[outputs.a]\ntype = 'mqt'", "3: outputs.a: type is 'mqt', expected 'mqtt', 'webhook', 'com"),
    (GATE + "[outputs.a]\ntype = 'mqtt'\nhost = 'h'\nport = 0", "6: outputs.a.port: 0, expected 1 or more"),
    (GATE + "[outputs.a]\ntype = 'mqtt'\nhost = 'h'\nqos = 5", "6: outputs.a.qos: 5, expected 0, 1 or 2"),
    (GATE + "[outputs.a]\ntype = 'mqtt'\nhots = 'h'", "5: outputs.a.hots: no such key; did you mean 'host'?"),
    (GATE + "[outputs.a]\ntype = 'mqtt'\nhost = 'h'\ntopic = 'a/#'", "6: outputs.a.topic: 'a/#', expected a"),
    (
        GATE + "[lists.a]\naction = 'alow'",
        "4: lists.a.action: 'alow', expected 'allow', 'deny' or 'watch'; d",
    ),
    (GATE + "[lists.a]\naction = 'deny'\nplates = [\n5]", "6: lists.a.plates[0]: 5, expected a plate in quo"),
    (GATE + "[lists.a]\naction = 'deny'\nplates = [{plat = 'A'}]", "5: lists.a.plates[0].plat: no such key"),
    (
        GATE + "[[web.tokens]]\nname = 'a'\nhsh = 'b'",
        "5: web.tokens[0].hsh: no such key; did you mean 'hash'",
    ),
]


@pytest.mark.parametrize(("text", "told"), SCHEMA)
def test_what_does_not_fit_the_schema_is_told_with_its_line(folder: Path, text: str, told: str) -> None:
    assert any(line.startswith(told) for line in wrong(folder, text)), wrong(folder, text)


OUT = "[outputs.a]\ntype = "
CROSS = [
    (
        GATE + "[lists.a]\naction = 'deny'\ncameras = ['gat']",
        "5: lists.a.cameras[0]: no camera 'gat'; did you",
    ),
    (
        GATE + "[lists.a]\naction = 'deny'\noutputs = ['b']",
        "5: lists.a.outputs[0]: no output 'b'; there is none",
    ),
    (GATE + OUT + "'files'\nfolder = 'f'\ncameras = ['x', 'gate']", "6: outputs.a.cameras[0]: no camera 'x'"),
    (GATE + "[lists.a]\naction = 'deny'\nplates = ['']", "3: lists.a: plate ''"),
    (GATE + "[lists.a]\naction = 'deny'\nfile = 'none.csv'", "3: lists.a: "),
    (GATE + "[lists.a]\naction = 'deny'\ntimes = ['Mon 7-8']", "5: lists.a.times[0]: 'Mon 7-8': "),
    (GATE + "direction = 'line'", '3: cameras.gate.direction: is "line", and there is no line'),
    (GATE + "line = [[0, 0], [0, 0]]", "3: cameras.gate.line: both of its points are the same"),
    (
        GATE + "schedule = ['Mon', 'Mon-Fry 07:00-19:00']",
        "3: cameras.gate.schedule[1]: 'Mon-Fry 07:00-19:00'",
    ),
    (GATE + "loop = true", "3: cameras.gate.loop: is for a video file, and source is none"),
    ("[cameras.gate]\nsource = 'stret.mp4'", "2: cameras.gate.source: no such file '"),
    ("[cameras.gate]\nsource = 'note.txt'", "2: cameras.gate.source: "),
    ("[cameras.gate]\nsource = 'htp://x/1'", "2: cameras.gate.source: htp://x/1, expected an address"),
    (GATE + "[cameras.Gate]\nsource = '0'", "3: cameras.Gate: differs from 'gate' by case alone"),
    (GATE + "[reader]\nbackend = 'onnx'", "4: reader.backend: 'onnx', expected auto"),
    (GATE + "[reader]\nprecision = 'fp8'", "4: reader.precision: 'fp8', expected auto"),
    (GATE + "[reader]\nbundle = 'none'", "4: reader.bundle: no folder "),
    (
        GATE + "[reader]\nthresholds = {min_scoer = 1}",
        "4: reader.thresholds.min_scoer: no such threshold; did",
    ),
    (GATE + "[reader.thresholds]\nbox_thresh = 7", "4: reader.thresholds.box_thresh: 7, expected a number"),
    (GATE + OUT + "'files'\nfolder = 'edge-lpr-data/x'", "5: outputs.a.folder: "),
    (GATE + "[service]\ndata = 'd/e'\n" + OUT + "'files'\nfolder = 'd'", "7: outputs.a.folder: "),
    (
        GATE + OUT + "'files'\nfolder = 'f'\n[outputs.b]\ntype = 'files'\nfolder = 'f'",
        "8: outputs.b.folder: ",
    ),
    (GATE + "[service]\ndata = 'note.txt'", "4: service.data: "),
    (
        GATE
        + OUT
        + "'mqtt'\nhost = 'h'\nclient_id = 'c'\n[outputs.b]\ntype = 'mqtt'\nhost = 'H'\nclient_id = 'c'",
        "10: outputs.b.client_id: 'c' is that of outputs.a at the same broker",
    ),
    (
        GATE + OUT + "'webhook'\nurl = 'ftp://a:secretpw@b'",
        "5: outputs.a.url: 'ftp://b', expected an add",
    ),
    (
        GATE + OUT + "'webhook'\nurl = 'https://b'\nheaders = {'a b' = 'c'}",
        "6: outputs.a.headers.a b: no name",
    ),
    (
        GATE + OUT + "'webhook'\nurl = 'https://b'\nheaders = {a = \"c\\n\"}",
        "6: outputs.a.headers.a: expected",
    ),
    (GATE + OUT + "'webhook'\nurl = 'https://b'\nca = 'x.pem'", "6: outputs.a.ca: no file "),
    (
        GATE + OUT + "'mqtt'\nhost = 'h'\ntls = true\nkey = 'note.txt'",
        "3: outputs.a: certificate and key bel",
    ),
    (GATE + OUT + "'mqtt'\nhost = 'h'\nca = 'note.txt'", "3: outputs.a: has certificates, and tls is false"),
    (GATE + OUT + "'mqtt'\nhost = 'h'\ndiscovery = '/x'", "6: outputs.a.discovery: '/x', expected as"),
    (GATE + OUT + "'command'\ncommand = ['./none']", "5: outputs.a.command[0]: no file "),
    (
        GATE + "[web]\nlisten = '0.0.0.0:80'",
        "4: web.listen: '0.0.0.0:80' is reached from other machines, and",
    ),
    (GATE + "[web]\nlisten = 'localhost'", "4: web.listen: expected an address and a port"),
    (GATE + "[web]\npassword = 'hunter22'", "4: web.password: no hash of a password, expected what edge-lpr"),
    (GATE + "[web]\ncertificate = 'note.txt'", "3: web: certificate and key belong together"),
]


@pytest.mark.parametrize(("text", "told"), CROSS)
def test_what_does_not_go_together_is_told_with_its_line(folder: Path, text: str, told: str) -> None:
    assert any(line.startswith(told) for line in wrong(folder, text)), wrong(folder, text)


DEEP = "[" * 400 + "]" * 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{GATE}x = {DEEP}", "3: cameras.gate.x: nested deeper than 16 levels"),
        (f"{GATE}regions = {DEEP}", "3: cameras.gate.regions: nested deeper"),
        (f"{GATE}{'a.' * 20}a = 1", "3: cameras.gate.a: nested deeper"),
        (f"[{'a.' * 20}a]\nb = 1\n{GATE}", "1: a.a.a: nested deeper"),
        (f"{GATE}min_plate_width = 0x{'f' * 9000}", "3: cameras.gate.min_plate_width: a number that is too"),
        (f'{GATE}[service]\ndata = "a\\u0000"', "4: service.data: has the character"),
        (f'{GATE}[lists.a]\naction = "deny"\nfile = "\\u0000"', "5: lists.a.file: has the character"),
        (f'{GATE}[service]\ndata = "{"a" * 5000}"', "1: "),
        (f'[cameras.gate]\nsource = "{"a" * 2000}"', "1: "),
        (f'{GATE}[web]\nhosts = ["gate.example"]', "4: web.hosts: are for a proxy, which others may reach"),
    ],
)
def test_what_no_file_should_say_is_told_all_the_same(folder: Path, text: str, told: str) -> None:
    assert wrong(folder, text)[0].startswith(told)


def test_everything_that_is_wrong_is_told_at_once(folder: Path) -> None:
    lines = wrong(folder, "[service]\nx = 1\ny = 2\n" + GATE + "z = ''\ntimeout = 'long'\n")
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "service.x",
        "service.y",
        "cameras.gate.z",
        "cameras.gate.timeout",
    ]


def test_two_tokens_of_a_name(folder: Path) -> None:
    token = f"[[web.tokens]]\nname = 'a'\nhash = '{ScryptHash.of('correct horse')}'\n"
    assert wrong(folder, GATE + token + token) == ["3: web.tokens: 'a' is the name of 2 tokens"]
    assert load(folder, GATE + token + "[web]\nlisten = '0.0.0.0:8470'").settings.web.tokens[0].name == "a"


def test_no_secret_is_told(folder: Path) -> None:
    text = (
        "[cameras.a]\nsource = 'xtsp://u:hunter22@h/1'\n[outputs.a]\ntype = 'mqtt'\nhost = 'h'\n"
        "password = 77889900\n[outputs.w]\ntype = 'webhook'\nurl = 'https://h'\n"
        "headers = {Authorization = 55667788}\n[web]\npassword = ['aabbccdd']\n"
    )
    told = "\n".join(wrong(folder, text))
    assert told.count("a value that is not shown") == 3
    assert not any(secret in told for secret in ("hunter22", "77889900", "55667788", "aabbccdd"))


def test_of_a_webhook_s_address_no_path_is_told(folder: Path) -> None:
    hook = "[outputs.w]\ntype = 'webhook'\nurl = '{}://chat.example/hooks/42/aB-9_xyz'\n"
    (told,) = wrong(folder, GATE + hook.format("htps"))
    assert "'htps://chat.example/***'" in told and "aB-9" not in told
    load(folder, GATE + hook.format("https"))
    assert masked("to https://chat.example/hooks/42/aB-9_xyz") == "to https://chat.example/***"
    (told,) = wrong(folder, GATE + hook.format("https").replace("chat.example", "c" * 2100))
    assert "aB-9" not in told


@pytest.mark.parametrize("name", ["https://gate.example/", "gate.example/", "", "gate example", "a@b"])
def test_what_no_browser_asks_for_is_no_host(folder: Path, name: str) -> None:
    web = f"[web]\npassword = '{ScryptHash.of('long enough')}'\nhosts = ['gate.example:443', '{name}']\n"
    (told,) = wrong(folder, GATE + web)
    assert told.startswith("5: web.hosts[1]: ") and 'as "gate.example"' in told


def test_a_variable_is_of_the_environment_and_its_value_is_shown_nowhere(folder: Path) -> None:
    text = "[cameras.a]\nsource = 'rtsp://u:${PW}@h/1'\n[outputs.m]\ntype='mqtt'\nhost='$${PW}'\npassword='${PW}'\n"
    settings = load(folder, text, PW="hunter22").settings
    output = settings.outputs["m"]
    assert isinstance(output, MqttSettings) and (output.password, output.host) == ("hunter22", "${PW}")
    assert settings.cameras["a"].source == "rtsp://u:hunter22@h/1"
    assert masked("it is hunter22") == "it is ***"
    assert wrong(folder, text) == [
        f"{line}: {key}: the variable PW is not set, or empty; export it, or in a service unit set it by "
        "EnvironmentFile="
        for line, key in ((2, "cameras.a.source"), (6, "outputs.m.password"))
    ]


def test_secrets_of_the_file_itself_are_shown_nowhere(folder: Path) -> None:
    load(folder, GATE + "[outputs.w]\ntype = 'webhook'\nurl = 'https://h'\nheaders = {X-Api = 'qwertz99'}\n")
    assert masked("with qwertz99 and hunter22") == "with *** and ***"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"[cameras\n", r":1: not TOML: "),
        (b"a = 1\nb = \n", r":2: not TOML: "),
        (b"a = 1\na = 2\n", r":2: not TOML: "),
        (b'a = """\n', r": not TOML: "),
        (b"# caf\xe9\n", r":1: not UTF-8 \(byte 5\); save it as UTF-8"),
        (b"a = 1\n# caf\xe9\n", r":2: not UTF-8"),
        (b"a = " + b"[" * 100_000, r":1: not "),
        (b"a = " + b"9" * 10_000, r":1: not "),
    ],
)
def test_what_is_no_toml_is_one_line(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "cameras.toml"
    path.write_bytes(data)
    with pytest.raises(InputError, match=told) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: no such file; edge-lpr serve --example prints one"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        load_config("/dev/zero")
    large = tmp_path / "large.toml"
    with large.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(InputError, match=r"larger than 16 MiB: not a configuration"):
        load_config(large)


def test_lines_of_windows_are_counted_as_others(folder: Path) -> None:
    assert wrong(folder, GATE.replace("\n", "\r\n") + "x = 1\r\n")[0].startswith("3: cameras.gate.x")
    (folder / "cameras.toml").write_bytes(b"\xef\xbb\xbf" + GATE.encode())
    assert isinstance(load_config(folder / "cameras.toml"), Config)


def test_a_webhook_to_a_plain_address_is_taken(folder: Path) -> None:
    output = load(folder, GATE + "[outputs.w]\ntype='webhook'\nurl='http://10.0.0.9/x'\n").settings.outputs[
        "w"
    ]
    assert isinstance(output, WebhookSettings) and output.url == "http://10.0.0.9/x"


def test_a_key_of_thousands_of_names_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text("[cameras.gate]\nsource = '0'\nx" + ".a" * 50_000 + " = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    expected = f"{path}:3: a key of more than 32 names with dots between, expected a few"
    assert error.value.lines == (expected,)
