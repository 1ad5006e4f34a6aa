"""Many connections that ask one network again and again, in a process of their own.

`python -m tests.load.askers PORT CONNECTIONS REQUESTS` reads a body from standard input and prints the seconds of each
answer and the statuses, as JSON.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor


def ask(port: int, body: bytes, count: int) -> tuple[list[float], list[int]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seconds, statuses = [], []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", "/api/infer", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began)
        statuses.append(answer.status)
    connection.close()
    return seconds, statuses


if __name__ == "__main__":
    port, connections, requests = map(int, sys.argv[1:])
    body = sys.stdin.buffer.read()
    with ThreadPoolExecutor(connections) as pool:
        waiting = [pool.submit(ask, port, body, requests // connections) for _ in range(connections)]
        results = [each.result() for each in waiting]
    statuses = Counter(status for _, each in results for status in each)
    print(json.dumps({"seconds": sorted(s for each, _ in results for s in each), "statuses": dict(statuses)}))
