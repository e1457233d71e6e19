"""What Python's zoneinfo says: reads lines "ZONE SECONDS", prints for each the offset from UTC in seconds at that moment.
Our time zone tests compare with it; both read the system's tzdata."""

import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

for line in sys.stdin:
    zone, seconds = line.split()
    moment = (EPOCH + timedelta(seconds=int(seconds))).astimezone(ZoneInfo(zone))
    print(int(moment.utcoffset().total_seconds()))
