"""Fetch the icon sets from the npm registry and render them to RGBA arrays."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np

from config import ICON_PIXELS, ICON_SETS


def fetch(work: Path, sets=ICON_SETS) -> dict[str, Path]:
    """Download each tarball with `npm pack` (once) and check its SHA-256."""
    folder = work / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    tarballs = {}
    for style, (package, version, _, digest) in sets.items():
        path = folder / f"{package[1:].replace('/', '-')}-{version}.tgz"
        if not path.exists():
            subprocess.run(
                ["npm", "pack", f"{package}@{version}", "--silent"],
                cwd=folder, check=True, stdout=subprocess.DEVNULL,
            )
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != digest:
            raise SystemExit(f"{path}: SHA-256 is {found}, expected {digest}")
        tarballs[style] = path
    return tarballs


def read_json(tarball: Path, name: str = "icons.json") -> tuple[bytes, dict]:
    """The raw bytes and the parsed content of one file of the package."""
    with tarfile.open(tarball) as archive:
        raw = archive.extractfile(f"package/{name}").read()
    return raw, json.loads(raw)


def _svg(collection: dict, icon: dict) -> str:
    width = icon.get("width") or collection.get("width") or 16
    height = icon.get("height") or collection.get("height") or 16
    left, top = icon.get("left", 0), icon.get("top", 0)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' viewBox="{left} {top} {width} {height}"'
        f' width="{ICON_PIXELS}" height="{ICON_PIXELS}">{icon["body"]}</svg>'
    )


def _rasterise(svg: str) -> np.ndarray | None:
    """RGBA uint8 (ICON_PIXELS, ICON_PIXELS, 4), or None if resvg refuses it."""
    import resvg_py
    from PIL import Image

    try:
        png = resvg_py.svg_to_bytes(svg_string=svg)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a Rust panic arrives as a BaseException
        return None
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    if image.size != (ICON_PIXELS, ICON_PIXELS):
        return None
    return np.asarray(image)


def picture(collection: dict, slug: str) -> np.ndarray | None:
    """One icon of a collection, rendered; None if resvg refuses it."""
    return _rasterise(_svg(collection, collection["icons"][slug]))


def load(work: Path, wanted) -> dict[str, dict[str, np.ndarray]]:
    """{slug: {style: RGBA array}} for every slug that `wanted` accepts."""
    cache = work / "icons.npz"
    if not cache.exists():
        arrays = {}
        for style, tarball in fetch(work).items():
            _, collection = read_json(tarball)
            for slug, icon in collection["icons"].items():
                if wanted(slug):
                    picture = _rasterise(_svg(collection, icon))
                    if picture is not None:
                        arrays[f"{slug}|{style}"] = picture
        np.savez_compressed(cache, **arrays)
    icons: dict[str, dict[str, np.ndarray]] = {}
    with np.load(cache) as stored:
        for key in stored.files:
            slug, style = key.split("|")
            icons.setdefault(slug, {})[style] = stored[key]
    return icons
