"""The digest of a request is that of a line of Python."""

from __future__ import annotations

import json
import subprocess
import sys

from backend.parsing import strict_json
from backend.parsing.canonical import sha256

LINE = (
    "import hashlib, json, sys; print(hashlib.sha256("
    'json.dumps(json.load(sys.stdin), sort_keys=True, separators=(",", ":")).encode()).hexdigest())'
)


def test_a_line_of_python_computes_it() -> None:
    body = '{"name": "\\u00e9 \\ud83d\\ude00", "b": [1, 1.0, 1e-3, 0.1, 9007199254740993, null, true], "a": {"z": 1, "y": 2}}'
    value, problems = strict_json.loads(body.encode())
    command = [sys.executable, "-c", LINE]
    done = subprocess.run(command, input=body, capture_output=True, text=True, check=True, timeout=60)
    assert not problems and sha256(value) == done.stdout.strip()


def test_it_follows_what_was_sent_and_not_how() -> None:
    one, other = '{"a": 1, "b": {"d": 2, "c": 3}}', '{ "b":{"c":3,"d":2},\n"a":1 }'
    assert sha256(json.loads(one)) == sha256(json.loads(other)) != sha256(json.loads('{"a": 1.5}'))
