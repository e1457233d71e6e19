"""What croniter says: reads lines "EXPRESSION<tab>START<tab>COUNT" (seconds since 1970, UTC), prints for each the first
COUNT firings strictly after START, or "refused: " and why. Our cron tests compare with it."""

import sys
from datetime import datetime, timezone
from pathlib import Path

# Where `pip install --target .build/python croniter` puts it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "python"))
try:
    from croniter import croniter
except ImportError as error:
    sys.exit(f"{error}: run 'make test', or 'pip install --target .build/python croniter'")

for line in sys.stdin:
    expression, start, count = line.rstrip("\n").split("\t")
    try:
        times = croniter(
            expression,
            datetime.fromtimestamp(int(start), timezone.utc),
            # Six fields begin with the seconds, and a day field that starts with * means "both", as in cronie.
            second_at_beginning=len(expression.split()) == 6,
            implement_cron_bug=True,
            max_years_between_matches=50,
        )
        print(*[int(times.get_next(float)) for _ in range(int(count))])
    except Exception as error:
        print(f"refused: {error}")
