"""What other processes do in the store tests: ``python -m tests.campaign.writer race|endless URI ...``."""

import sys
import time

from activelora.campaign.store import open_store

CONTENT_BYTES = 1 << 20


def race(uri: str, key: str, content: str, start: str) -> None:
    """Create one object at a given time, and print whether this process did it."""
    store = open_store(uri)
    time.sleep(max(0.0, float(start) - time.time()))
    print(store.create(key, content.encode()))


def endless(uri: str) -> None:
    """Replace one object and create others until killed."""
    store = open_store(uri)
    for index in range(10**9):
        content = bytes([index % 251]) * CONTENT_BYTES
        store.write("replaced", content)
        store.create(f"created/{index:06d}", content)
        if index == 0:
            print("writing", flush=True)


if __name__ == "__main__":
    {"race": race, "endless": endless}[sys.argv[1]](*sys.argv[2:])
