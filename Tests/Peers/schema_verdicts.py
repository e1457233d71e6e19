"""What Python's jsonschema says: reads lines "SCHEMA<tab>INSTANCE", both JSON, prints for each "fits", "violates" or
"refused: " and why. Our schema tests compare with it."""

import json
import sys
from pathlib import Path

# Where `pip install --target .build/python jsonschema` puts it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "python"))
try:
    from jsonschema import Draft202012Validator
except ImportError as error:
    sys.exit(f"{error}: run 'make test', or 'pip install --target .build/python jsonschema'")

validators = {}
for line in sys.stdin:
    schema, instance = line.rstrip("\n").split("\t")
    try:
        if schema not in validators:
            Draft202012Validator.check_schema(json.loads(schema))
            validators[schema] = Draft202012Validator(json.loads(schema))
        print("fits" if validators[schema].is_valid(json.loads(instance)) else "violates")
    except Exception as error:
        print(f"refused: {error!r}".replace("\n", " "))
