"""Synthetic shards for `memscope merge`: `make.py FOLDER RECORDS SHARDS`, then `memscope merge FOLDER`.

Writes shards as docs/scale.md describes them, with random keys and five numbers a record, independent of memscope's code:
a second implementation of the format. Needs Python 3.9 and nothing else; 10^7 records take minutes.
"""

import hashlib
import json
import pathlib
import random
import struct
import sys

FINGERPRINT = "0" * 63 + "1"
VALUES = 5


def line(key: str, values: list[float]) -> bytes:
    """One record of a store with its checksum."""
    check = hashlib.sha256(key.encode() + b"\0" + struct.pack(f"<{len(values)}d", *values)).hexdigest()[:16]
    numbers = ",".join(map(repr, values))
    return f'{{"key":"{key}","values":[{numbers}],"check":"{check}"}}\n'.encode()


def main(folder: str, records: int, shards: int) -> None:
    root = pathlib.Path(folder) / "shards" / "synthetic"
    root.mkdir(parents=True)
    plan = {"format": 1, "hash": "synthetic", "version": "0", "commit": "0", "command": "none", "shards": shards}
    (root / "PLAN.json").write_text(json.dumps({**plan, "units": records, "settings": {}}))
    draw, first = random.Random(0), 0
    for shard in range(1, shards + 1):
        count = records * shard // shards - first
        place = root / f"{shard:03}-of-{shards:03}"
        (place / "answers").mkdir(parents=True)
        name, digest = f"answers/{FINGERPRINT[:16]}.jsonl", hashlib.sha256()
        with open(place / name, "wb", buffering=1 << 20) as store:
            for _ in range(count):
                record = line(f"{draw.getrandbits(128):032x}", [draw.random() for _ in range(VALUES)])
                digest.update(record)
                store.write(record)
        done = {
            "format": 1,
            "plan": "synthetic",
            "shard": f"{shard}/{shards}",
            "first_unit": first,
            "units": count,
            "records": count,
            "version": "0",
            "commit": "0",
            "models": {"synthetic": FINGERPRINT},
            "hardware": [{"dtype": "f32", "device": "cpu", "model": "synthetic"}],
            "files": {name: digest.hexdigest()},
            "finished": "2026-01-01T00:00:00Z",
        }
        (place / "DONE").write_text(json.dumps(done))
        first += count


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
