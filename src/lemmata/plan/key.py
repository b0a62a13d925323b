"""Identity: sha256 of canonical JSON, so that the same question has the same name on every machine.

A member's key is made of its experiment's namespace, its non-default configuration, the fingerprint of the code that
measures it, and the digest of the data it reads. Its *setting* is the same without code and data: two members of one
setting and different keys are one question asked of different code, which is how stale records are told.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from lemmata.study.config import Config


def canonical(value: Any) -> bytes:
    """Write a JSON value in the one form that is hashed: sorted names, no spaces, ASCII, no NaN.

    >>> canonical({"b": 0.1, "a": [1, None]})
    b'{"a":[1,null],"b":0.1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def member_key(namespace: str, config: Config, fingerprint: str, data_digest: str) -> str:
    """Identify one configuration: 64 hexadecimal digits. Options at their defaults leave no trace.

    >>> member_key("coin/main", Config(seed=1), "code", "")[:12]
    '7f66103e4425'
    """
    content = {
        "namespace": namespace, "config": config.non_default(), "fingerprint": fingerprint, "data": data_digest,
    }  # fmt: skip
    return hashlib.sha256(canonical(content)).hexdigest()


def setting_key(namespace: str, config: Config) -> str:
    """Identify what is asked, whatever the code and the data that answer it.

    >>> setting_key("coin/main", Config()) == setting_key("coin/main", Config(seed=0))
    True
    """
    return hashlib.sha256(canonical({"namespace": namespace, "config": config.non_default()})).hexdigest()


def trial_key(member_keys: Iterable[str]) -> str:
    """Identify a block of members, in any order.

    >>> trial_key(["a", "b"]) == trial_key(["b", "a"])
    True
    """
    return hashlib.sha256("\n".join(sorted(member_keys)).encode("ascii")).hexdigest()
