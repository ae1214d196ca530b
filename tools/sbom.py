"""Writes a CycloneDX software bill of materials: the packages, at the versions tried, and the models shipped.

    python tools/sbom.py [--out edge-lpr.cdx.json]

The packages are those of requirements/host.txt, which has the sha256 of their files; the models are the files
of the bundle in the package, each with its sha256 and licence. The same sources give the same bytes. Needs
cyclonedx-python-lib, which the extra `release` installs.
"""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from edge_lpr._version import __version__
from edge_lpr.bundle.manifest import load_bundle

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "requirements" / "host.txt"


def main() -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("edge-lpr.cdx.json"), metavar="FILE")
    out = parser.parse_args().out
    out.write_text(as_json(make_bom()), encoding="utf-8")
    print(f"{out}: {len(make_bom().components)} components")
    return 0


def make_bom() -> Bom:
    """Makes the bill: the kit, what it needs, and the models in it."""
    kit = Component(
        name="edge-lpr",
        version=__version__,
        type=ComponentType.APPLICATION,
        purl=PackageURL("pypi", None, "edge-lpr", __version__),
        licenses=[LicenseExpression("Apache-2.0")],
        bom_ref="edge-lpr",
    )
    parts = [*packages(), *models()]
    bom = Bom(components=parts, serial_number=_serial(parts))
    bom.metadata.component = kit
    # The moment of the release is the tag's to tell; a clock in here would make each run another file.
    bom.metadata.timestamp = datetime(1970, 1, 1, tzinfo=timezone.utc)
    bom.register_dependency(kit, parts)
    return bom


def packages() -> Iterator[Component]:
    """Yields the packages at their versions: those that every installation needs, and those of extras."""
    required = {name.lower() for name in _requirements()}
    pinned = PINNED.read_text(encoding="utf-8")
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", pinned, re.MULTILINE):
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            scope=ComponentScope.REQUIRED if name.lower() in required else ComponentScope.OPTIONAL,
            purl=PackageURL("pypi", None, name.lower(), version),
            bom_ref=f"pkg:{name.lower()}",
        )


def models() -> Iterator[Component]:
    """Yields the model files of the bundle in the package."""
    bundle = load_bundle()
    for part, spec in (("det", bundle.det), ("rec", bundle.rec)):
        for model in spec.precisions.values():
            yield Component(
                name=f"{bundle.name}/{model.path.name}",
                version=str(bundle.raw["created"]),
                type=ComponentType.MACHINE_LEARNING_MODEL,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=model.sha256)],
                licenses=[LicenseExpression(bundle.licence)],
                properties=[Property(name="edge-lpr:part", value=part)],
                bom_ref=f"model:{model.path.name}",
            )


def as_json(bom: Bom) -> str:
    """Writes the bill as CycloneDX 1.6."""
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def _requirements() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[(.*)\]$", text, re.MULTILINE)
    return re.findall(r'"([\w.-]+)', listed)


def _serial(parts: list[Component]) -> uuid.UUID:
    named = [f"{p.name} {p.version} {','.join(h.content for h in p.hashes)}" for p in parts]
    return uuid.uuid5(uuid.NAMESPACE_URL, "\n".join([__version__, *named]))


if __name__ == "__main__":
    sys.exit(main())
