#!/usr/bin/env python3
"""plot.py RESULTS.jsonl OUT.svg: what a job costs and what the daemon holds in memory, from 1,000 to 1,000,000 waiting.
Draws the SVG itself; the newest figure of each depth counts."""

import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 220, 62, 34, 70


def panel(at, title, unit, points):
    top = 10 ** math.ceil(math.log10(max(value for _, value in points)))
    for share in (0.2, 0.25, 0.5):
        if max(value for _, value in points) <= top * share:
            top *= share
            break
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])

    def x(count):
        return at + (math.log10(count) - low) / ((high - low) or 1) * WIDTH

    def y(value):
        return TOP + HEIGHT - value / top * HEIGHT

    yield f'<text x="{at}" y="{TOP - 14}" class="title">{title}</text>'
    for step in range(5):
        value = top * step / 4
        yield f'<line x1="{at}" x2="{at + WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
        yield f'<text x="{at - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    for count, _ in points:
        yield f'<text x="{x(count):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{count:,}</text>'
    yield f'<text x="{at + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">jobs waiting</text>'
    yield '<polyline class="curve" points="' + " ".join(f"{x(c):.1f},{y(v):.1f}" for c, v in points) + '"/>'
    for count, value in points:
        yield f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3.5"><title>{count:,}: {value:g} {unit}</title></circle>'
        yield f'<text x="{x(count):.1f}" y="{y(value) - 9:.1f}" text-anchor="middle" class="value">{value:.3g}</text>'


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = {"us": {}, "mb": {}}
    with open(sys.argv[1]) as file:
        for line in map(json.loads, file):
            if line["row"].startswith("depth-"):
                found[line["who"].rsplit(".", 1)[1]][int(line["row"][6:])] = line["value"]
    if not found["us"]:
        sys.exit(f"{sys.argv[1]} has no figures of the row 'depth'")
    second = LEFT + WIDTH + GAP
    body = [*panel(LEFT, "microseconds for a job, claim to done", "µs", sorted(found["us"].items())),
            *panel(second, "memory of the daemon, MB", "MB", sorted(found["mb"].items()))]
    with open(sys.argv[2], "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {second + WIDTH + 30} {TOP + HEIGHT + 50}" role="img" '
            'aria-label="Cost of a job and memory of the daemon by jobs waiting">\n<style>text{font:12px sans-serif;fill:#444}'
            ".title{font-weight:bold}.value{font-weight:bold;fill:#1a5fb4}.grid{stroke:#ddd}.curve{fill:none;stroke:#1a5fb4;"
            "stroke-width:2}circle{fill:#1a5fb4}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
            + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    main()
