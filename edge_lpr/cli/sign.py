"""`edge-lpr sign`: signs bundles and engines, and checks signatures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import ENGINE, MANIFEST, read_manifest
from edge_lpr.bundle.manifest import BUNDLE_JSON, load_bundle
from edge_lpr.console.output import say
from edge_lpr.errors import SettingError
from edge_lpr.io.claims import check_outputs
from edge_lpr.signatures import PublicKey, SecretKey, load_public_key, new_key, signature_path

DESCRIPTION = """\
Signs bundles and engines, so that a device takes them from nobody else: with --verify-key, edge-lpr
refuses what is not signed, or is not what was signed, before it reads a model. The signature is
minisign's and lies beside the manifest, which holds the sha256 of every file."""

EPILOG = """\
examples:
  edge-lpr sign --new-key release.key              makes release.key (secret) and release.pub
  edge-lpr sign my-bundle/ --key release.key
  edge-lpr sign my-engines/ --key release.key      all engines of a folder
  edge-lpr sign my-bundle/ --verify-key release.pub    only checks, all files too
  edge-lpr street.mp4 --bundle my-bundle/ --verify-key release.pub
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a bundle, folder of engines, or engine")
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--key", metavar="FILE", help="the secret key to sign with")
    one.add_argument("--verify-key", metavar="KEY", help="check only: the public key, as a file or itself")
    one.add_argument("--new-key", metavar="FILE", help="make a key pair: FILE, and FILE with the suffix .pub")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.new_key is not None:
        if args.paths:
            raise SettingError("--new-key takes no PATH; sign with --key once the key is there")
        made = new_key(Path(args.new_key))
        say(f"{args.new_key}  secret: keep it off the devices")
        say(f"{made.public}  public, for --verify-key")
        return 0
    if not args.paths:
        raise SettingError("what? give a bundle's folder, a folder of engines, or an engine")
    public = load_public_key(args.verify_key)
    secret = None if public is not None else SecretKey.load(Path(args.key))
    # All are looked at before the first is signed.
    manifests = [manifest for path in args.paths for manifest in _checked(Path(path), public)]
    if secret is not None:
        read = [("PATH", manifest) for manifest in manifests]
        check_outputs((("signature", signature_path(m)) for m in manifests), [("--key", args.key), *read])
    for manifest in manifests:
        say(f"good    {manifest}" if secret is None else f"signed  {secret.sign(manifest)}")
    return 0


def _checked(path: Path, key: PublicKey | None) -> Iterator[Path]:
    """Yields the manifests at a path, whose files are what they promise; with a key, once they are signed.

    Raises:
        SettingError: There is none.
        BundleError: A bundle is damaged.
        BackendError: An engine is damaged.
        SignatureError: A signature is missing or wrong.
    """
    if path.is_dir() and (path / BUNDLE_JSON).exists():
        bundle = load_bundle(path, key)
        for part in (bundle.det, bundle.rec):
            for model in part.precisions.values():
                model.read()
        yield path / BUNDLE_JSON
    elif path.is_dir():
        manifests, broken = read_manifests(path)
        if not manifests and not broken:
            raise SettingError(f"{path}: neither a bundle nor engines in it")
        for manifest in sorted([*(m.path for m in manifests), *broken]):
            yield from _checked(manifest, key)
    elif path.suffix in (ENGINE, MANIFEST) and path.name != BUNDLE_JSON:
        engine = read_manifest(path.with_suffix(MANIFEST), key)
        engine.read_engine()
        yield engine.path
    else:
        raise SettingError(f"{path}: neither a bundle's folder, a folder of engines, nor an engine")
