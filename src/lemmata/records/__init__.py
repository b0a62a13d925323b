"""What was measured: immutable, content-addressed, checked on every read."""

from lemmata.records.record import MemberRecord, Record
from lemmata.records.staging import StoreError
from lemmata.records.store import Merged, NoRecord, Store

__all__ = ["MemberRecord", "Merged", "NoRecord", "Record", "Store", "StoreError"]
