"""Figures of experiments as SVG: panels of points, lines and bars with intervals, for light and dark pages. Only the standard
library is used."""

import math
from html import escape

COLOURS = ["#2f7fc1", "#d1495b", "#3f9150", "#8e5ea2", "#c77700", "#00979d", "#9b6a4a"]
SHAPES = ["circle", "square", "triangle", "diamond"]
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM = 420, 320, 62, 16, 50
FONT, LINE = 12, 16
STYLE = """text{fill:#222} .paper{fill:#fff} .axis{stroke:#888;fill:none} .grid{stroke:#e6e6e6} .whisker{stroke:#222} .dash{stroke:#777;stroke-dasharray:5 4;fill:none} .theirs{fill:#fff;stroke:#222;stroke-width:1.4}
@media (prefers-color-scheme:dark){text{fill:#ddd} .paper{fill:#0d1117} .grid{stroke:#30363d} .whisker{stroke:#ddd} .dash{stroke:#999} .theirs{fill:#0d1117;stroke:#ddd}}"""


def figure(panels, across=None):
    """An SVG of panels, so many in a row (by default three, or four in two rows). A panel is a dictionary: title, x, y (labels), series, and if wanted log_x, log_y,
    diagonal (its name), zero (the y axis starts there), lines (dashed: y, name). A series: kind (points, line, bars), x, y, and if wanted
    low, high, name, colour, dashed (a line that is no measurement), and of bars theirs (what was published). The x of bars are texts; they lie where these are long."""
    across = across or (2 if len(panels) == 4 else min(3, len(panels)))
    width, height = across * WIDTH, math.ceil(len(panels) / across) * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="{FONT}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    for place, panel in enumerate(panels):
        parts.append(f'<g transform="translate({place % across * WIDTH} {place // across * HEIGHT})">')
        parts += draw(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def draw(panel):
    series = [{"colour": COLOURS[k % len(COLOURS)], "shape": SHAPES[k % len(SHAPES)], **s} for k, s in enumerate(panel["series"])]
    top, out = heading(panel["title"], series, [line["name"] for line in panel.get("lines", [])] + [d for d in [panel.get("diagonal")] if d])
    names = next((s["x"] for s in series if s["kind"] == "bars"), None)
    if names:
        return out + bars(panel, series, names, top)
    xs = [x for s in series for x in s["x"]]
    ys = values_of(series, panel.get("lines", [])) + ([0.0] if panel.get("zero") else [])
    if panel.get("diagonal"):
        xs = ys = [v for v in xs + ys if v is not None]
    across = Axis(xs, panel.get("log_x"), LEFT, WIDTH - RIGHT)
    up = Axis(ys, panel.get("log_y"), HEIGHT - BOTTOM, top)
    out += frame(panel["x"], panel["y"], across, up, LEFT, top)
    for tick in few(xs, across) or across.ticks():
        out.append(text(across.at(tick), HEIGHT - BOTTOM + 15, label(tick), "middle"))
    for tick in up.ticks():
        out.append(f'<path class="grid" d="M{LEFT} {up.at(tick):.1f}H{WIDTH - RIGHT}"/>')
        out.append(text(LEFT - 6, up.at(tick) + 4, label(tick), "end"))
    if panel.get("diagonal"):
        ends = max(across.low, up.low), min(across.high, up.high)
        out.append(f'<path class="dash" d="M{across.at(ends[0]):.1f} {up.at(ends[0]):.1f}L{across.at(ends[1]):.1f} {up.at(ends[1]):.1f}"/>')
    out += [f'<path class="dash" d="M{LEFT} {up.at(line["y"]):.1f}H{WIDTH - RIGHT}"/>' for line in panel.get("lines", [])]
    for place, one in enumerate(series):
        # Intervals of several lines stand beside each other.
        aside = 3 * (place - (len(series) - 1) / 2) if one["kind"] == "line" and one.get("low") else 0
        points = [(across.at(x) + aside, up.at(y), k) for k, (x, y) in enumerate(zip(one["x"], one["y"])) if y is not None]
        if one.get("dashed"):
            out.append(f'<polyline class="dash" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}"/>')
            continue
        if one["kind"] == "line":
            out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}" fill="none" stroke="{one["colour"]}" stroke-width="1.8"/>')
        for x, y, k in points:
            if one.get("low") and one["low"][k] is not None:
                out.append(f'<path stroke="{one["colour"]}" d="M{x:.1f} {up.at(one["low"][k]):.1f}V{up.at(one["high"][k]):.1f}"/>')
            if one["kind"] == "points" or len(points) <= 40:
                out.append(mark(one, x, y))
    return out


def bars(panel, series, names, top):
    """Bars from 0, upright, or lying where their names need the room."""
    room = (WIDTH - LEFT - RIGHT) / len(names)
    lying = max(wide(str(n)) for n in names) > room - 6
    left = min(LEFT if not lying else 18 + max(wide(str(n)) for n in names), WIDTH // 2)
    values = values_of(series, panel.get("lines", [])) + [0.0]
    side = Axis(values, False, *((left, WIDTH - RIGHT) if lying else (HEIGHT - BOTTOM, top)))
    start, end = (top, HEIGHT - BOTTOM) if lying else (left, WIDTH - RIGHT)
    step = (end - start) / len(names)
    out = frame(*((panel["y"], "") if lying else (panel["x"], panel["y"])), None, None, left, top)
    # A straight piece of a path, from a to b along the values, at `across` on the other side.
    along = (lambda across, a, b: f"M{a:.1f} {across:.1f}H{b:.1f}") if lying else (lambda across, a, b: f"M{across:.1f} {a:.1f}V{b:.1f}")
    crossing = (lambda at: f"M{at:.1f} {top}V{HEIGHT - BOTTOM}") if lying else (lambda at: f"M{left} {at:.1f}H{WIDTH - RIGHT}")
    for tick in side.ticks():
        at = side.at(tick)
        out.append(f'<path class="grid" d="{crossing(at)}"/>')
        out.append(text(at, HEIGHT - BOTTOM + 15, label(tick), "middle") if lying else text(left - 6, at + 4, label(tick), "end"))
    for place, name in enumerate(names):
        middle = start + (place + 0.5) * step
        out.append(text(left - 6, middle + 4, name, "end") if lying else text(middle, HEIGHT - BOTTOM + 15, name, "middle"))
    thick = min(0.8 * step / len(series), 46)
    for row, one in enumerate(series):
        for place, y in enumerate(one["y"]):
            middle = start + (place + 0.5) * step + (row - (len(series) - 1) / 2) * thick
            low, high = sorted((side.at(0.0), side.at(y)))
            box = (low, middle - thick / 2 + 1, high - low, thick - 2) if lying else (middle - thick / 2 + 1, low, thick - 2, high - low)
            out.append('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'.format(*box) + f' fill="{one["colour"]}" fill-opacity="0.8"/>')
            if one.get("low") and one["low"][place] is not None:
                out.append(f'<path class="whisker" d="{along(middle, side.at(one["low"][place]), side.at(one["high"][place]))}"/>')
            published = one.get("theirs", [None] * len(names))[place]
            if published is not None:
                out.append(theirs(*((side.at(published), middle) if lying else (middle, side.at(published)))))
    if side.low < 0:
        out.append(f'<path class="axis" d="{crossing(side.at(0.0))}"/>')
    return out + [f'<path class="dash" d="{crossing(side.at(line["y"]))}"/>' for line in panel.get("lines", [])]


def frame(x, y, across, up, left, top):
    """The two axes with their labels; nothing of data lies outside."""
    middle = (top + HEIGHT - BOTTOM) / 2
    return [
        f'<path class="axis" d="M{left} {top}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        text((left + WIDTH - RIGHT) / 2, HEIGHT - 12, x, "middle"),
        text(15, middle, y, "middle", f' transform="rotate(-90 15 {middle})"') if y else "",
    ]


def heading(title, series, lines):
    """Title and legend above the axes, in as many lines as they need: where the axes begin, and what to draw."""
    out, y = [], 20
    for line in wrapped(title.split(" "), lambda word: wide(word + " ") * 1.1, WIDTH - 20):
        out.append(text(WIDTH / 2, y, " ".join(line), "middle", ' font-weight="bold"'))
        y += LINE
    entries = [(s["name"], s) for s in series if s.get("name")] + [(name, None) for name in lines]
    if any("theirs" in s for s in series):
        entries.append(("published", "theirs"))
    for row in wrapped(entries, lambda entry: 38 + wide(entry[0]), WIDTH - 30):
        x = (WIDTH - sum(38 + wide(name) for name, _ in row) + 12) / 2
        for name, one in row:
            if one is None or one != "theirs" and one.get("dashed"):
                out.append(f'<path class="dash" d="M{x:.1f} {y - 4}h20"/>')
            elif one == "theirs":
                out.append(theirs(x + 12, y - 4))
            elif one["kind"] == "bars":
                out.append(f'<rect x="{x + 6:.1f}" y="{y - 10}" width="12" height="11" fill="{one["colour"]}" fill-opacity="0.8"/>')
            else:
                if one["kind"] == "line":
                    out.append(f'<path d="M{x:.1f} {y - 4}h22" stroke="{one["colour"]}" stroke-width="1.8"/>')
                out.append(mark(one, x + 11, y - 4) if one["kind"] == "points" or len(one["x"]) <= 40 else "")
            out.append(text(x + 25, y, name, "start"))
            x += 38 + wide(name)
        y += LINE
    return y - 4, out


def wrapped(items, size, room):
    """Items in rows that are no wider than the room."""
    rows, filled = [[]], 0.0
    for item in items:
        if rows[-1] and filled + size(item) > room:
            rows.append([])
            filled = 0.0
        rows[-1].append(item)
        filled += size(item)
    return [row for row in rows if row]


def few(xs, axis):
    """The places of the data themselves, where these are few and not too near to each other."""
    own = sorted({x for x in xs if x is not None})
    far = all(axis.at(b) - axis.at(a) >= 24 for a, b in zip(own, own[1:]))
    return own if len(own) <= 8 and far else None


def values_of(series, lines):
    """All that must lie between the ends of the axis of values."""
    held = [v for s in series for key in ("y", "low", "high", "theirs") for v in s.get(key) or [] if v is not None]
    return held + [line["y"] for line in lines]


def mark(one, x, y):
    """A point of a series: its shape tells series apart where colours do not."""
    fill = f'fill="{one["colour"]}" fill-opacity="0.8"'
    if one["shape"] == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.1" {fill}/>'
    if one["shape"] == "square":
        return f'<rect x="{x - 2.7:.1f}" y="{y - 2.7:.1f}" width="5.4" height="5.4" {fill}/>'
    if one["shape"] == "triangle":
        return f'<path d="M{x:.1f} {y - 3.9:.1f}l3.6 6.3h-7.2z" {fill}/>'
    return f'<path d="M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z" {fill}/>'


def theirs(x, y):
    return f'<path class="theirs" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>'


class Axis:
    """From values to places on the page, straight or logarithmic."""

    def __init__(self, values, log, start, end):
        self.log = bool(log)
        values = [v for v in values if v is not None and (not self.log or v > 0)] or [1.0, 2.0]
        low, high = min(values), max(values)
        if self.log:
            low, high = math.log10(low), math.log10(high)
        room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        # An axis that begins or ends at 0 has no room beyond it.
        self.low = low if low == 0.0 and not self.log else low - room
        self.high = high if high == 0.0 and low < 0.0 and not self.log else high + room
        self.start, self.end = start, end
        if self.log:
            self.low, self.high = 10**self.low, 10**self.high

    def at(self, value):
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self):
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            factors = (1,) if last - first > 3 else (1, 2, 5)
            every = next(n for n in (1, 2, 5, 10, 20, 50, 100) if (last - first) / n <= 6)
            return [f * 10.0**k for k in range(first, last + 1) if k % every == 0 for f in factors if self.low <= f * 10.0**k <= self.high]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def label(value):
    """A number as an axis shows it: 0.05, 2000, 10⁻⁵."""
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        power = math.floor(math.log10(abs(value)) + 1e-9)
        factor = round(value / 10**power, 3)
        raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{raised}" if factor == 1 else f"{factor:g}·10{raised}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def wide(words):
    """About how wide a text is, in pixels."""
    return 0.58 * FONT * len(words)


def text(x, y, words, anchor, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(str(words))}</text>'
