"""What each figure has to reach and aims at, and the table that says how far it got. A share is of the limit measured in the
same run; what counts is that, since absolute figures drift by a quarter from run to run, and with a slow disk by far more."""

# row, figure, what is compared, must reach, aims at; of a figure in absolute numbers also what the limit had when the goal
# was set. Where the number is missed, the same share of today's limit counts, and the table says that it was that.
TARGETS = [
    ("submit", "jobspool", "share", 0.7, 0.9),
    ("submit-8", "jobspool", "share", 0.6, 0.85),
    # 64 at a time hang on the disk's syncs and are judged by their share; jobs per second by the larger batches.
    ("submit-batch", "jobspool", "share", 0.5, 0.75),
    ("submit-batch-1024", "jobspool", "share", 0.5, 0.75),
    ("submit-batch-1024", "jobspool", "least", 15000, 25000, 28000),
    ("submit-batch-1024", "jobspool-bulk", "least", 15000, 25000, 28000),
    ("drain", "jobspool", "share", 0.5, 0.75),
    ("drain-adopted", "jobspool", "share", 0.5, 0.75),
    ("drain-exec", "jobspool", "share", 0.8, 0.9),
    ("latency", "jobspool.p50", "most", 0.6, 0.35, 0.18),
    ("latency", "jobspool.p99", "most", 1.5, 0.8, 0.5),
    ("latency-exec", "jobspool.p50", "most", 1.3, 1.0, 0.72),
    ("latency-exec", "jobspool.p99", "most", 2, 1.5, 1.1),
    ("memory-idle", "jobspool", "most", 15, 8),
    ("memory-100k", "jobspool", "most", 15, 5),
    ("start-1M", "jobspool.first", "most", 1, 0.3),
    ("start-1M", "jobspool.whole", "most", 5, 1.5),
    ("start-1M-cold", "jobspool.whole", "most", 10, 3),
    ("api-1M", "jobspool.newest", "most", 50, 10),
    ("api-1M", "jobspool.details", "most", 10, 5),
    ("api-1M", "jobspool.statistics", "most", 50, 10),
    ("api-1M", "jobspool.result", "most", 20, 5),
    ("api-1M", "jobspool.worst", "most", 600, 250),
]

# Rows in which jobspool has to be ahead of everybody who was measured with it.
AHEAD = {"drain": "jobspool", "drain-exec": "jobspool"}


def table(figures, note=lambda line: None):
    """Prints a line for every target whose row was measured; hands each to `note` too."""
    by_name = {(line["row"], line["who"]): line for line in figures}
    rows = {line["row"] for line in figures}
    print(f"{'row':14} {'figure':20} {'value':>12} {'of limit':>9} {'must reach':>11} {'aims at':>9}  verdict")
    for row, who, kind, must, aim, *was in TARGETS:
        if row not in rows:
            continue
        line = by_name.get((row, who))
        if line is None:
            verdict, value, share = "not measured", "-", "-"
        else:
            compared = line.get("of_limit", 0) if kind == "share" else line["value"]
            reaches = (lambda goal: compared <= goal) if kind == "most" else (lambda goal: compared >= goal)
            verdict = "reaches what it aims at" if reaches(aim) else "reached" if reaches(must) else "NOT REACHED"
            if verdict == "NOT REACHED" and was and "of_limit" in line:
                asked = must / was[0] if kind == "least" else was[0] / must
                limit = by_name.get((row, f"limit{who[len('jobspool'):]}")) or by_name[row, "limit"]
                is_slower = limit["value"] > was[0] if kind == "most" else limit["value"] < was[0]
                if is_slower and line["of_limit"] >= asked:
                    verdict = f"reached as a share, {asked:.2f} of the limit; the limit itself had {limit['value']:.2f}"
            value, share = f"{line['value']:.2f} {line['unit']}", f"{line['of_limit']:.2f}" if "of_limit" in line else "-"
        sign = "<=" if kind == "most" else ">="
        print(f"{row:14} {who:20} {value:>12} {share:>9} {sign + format(must, 'g'):>11} {sign + format(aim, 'g'):>9}  {verdict}")
        note({"verdict": verdict, "row": row, "who": who, "must": must, "aim": aim, "kind": kind,
              "value": line and line["value"], "of_limit": line and line.get("of_limit")})
    for row, ours in AHEAD.items():
        line = by_name.get((row, ours))
        rivals = [other for other in figures if other["row"] == row and not other["who"].startswith(("jobspool", "limit"))]
        if line is None or not rivals:
            continue
        behind = [rival["who"] for rival in rivals if rival["value"] >= line["value"]]
        verdict = "NOT ahead of " + ", ".join(behind) if behind else "ahead of " + ", ".join(r["who"] for r in rivals)
        print(f"{row:14} {ours:20} {verdict}")
        note({"verdict": verdict, "row": row, "who": ours})
