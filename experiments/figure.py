"""Figures of experiments as SVG: panels of points, lines and bars with intervals. Only the standard library is used."""

import math
from html import escape

COLOURS = ["#1b6ca8", "#d1495b", "#3a7d44", "#8e5ea2", "#c77700", "#4d4d4d", "#00979d"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 300, 58, 14, 34, 48


def figure(panels):
    """An SVG of panels side by side, three in a row. A panel is a dictionary: title, x, y (labels), series, and if
    wanted log_x, log_y, diagonal, zero. A series: kind (points, line, bars), x, y, and if wanted low, high, name, colour.
    The x of bars are texts."""
    across = min(3, len(panels))
    rows = math.ceil(len(panels) / across)
    width, height = across * WIDTH, rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, panel in enumerate(panels):
        parts.append(f'<g transform="translate({place % across * WIDTH} {place // across * HEIGHT})">')
        parts += draw(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def draw(panel):
    series = panel["series"]
    names = next((s["x"] for s in series if s["kind"] == "bars"), None)
    xs = list(range(len(names))) if names else [x for s in series for x in s["x"]]
    ys = [y for s in series for key in ("y", "low", "high") for y in s.get(key, []) if y is not None]
    if panel.get("zero") or names and not panel.get("log_y"):
        ys.append(0.0)
    if panel.get("diagonal"):
        xs = ys = [v for v in xs + ys if v]
    across = Axis(xs, panel.get("log_x"), LEFT, WIDTH - RIGHT, 0.5 if names else None)
    up = Axis(ys, panel.get("log_y"), HEIGHT - BOTTOM, TOP, None)
    out = [text(WIDTH / 2, 18, panel["title"], "middle", 'font-weight="bold"')]
    out.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#888"/>')
    for tick in up.ticks():
        y = up.at(tick)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#eee"/>')
        out.append(text(LEFT - 5, y + 4, label(tick), "end"))
    if names:
        for place, name in enumerate(names):
            x = across.at(place)
            out.append(text(x, HEIGHT - BOTTOM + (14 if place % 2 == 0 or len(names) < 6 else 25), name, "middle"))
    else:
        for tick in across.ticks():
            out.append(text(across.at(tick), HEIGHT - BOTTOM + 14, label(tick), "middle"))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, panel["x"], "middle"))
    out.append(text(13, (TOP + HEIGHT - BOTTOM) / 2, panel["y"], "middle", f'transform="rotate(-90 13 {(TOP + HEIGHT - BOTTOM) / 2})"'))
    if panel.get("diagonal"):
        low, high = across.low, across.high
        out.append(f'<path d="M{across.at(low):.1f} {up.at(low):.1f}L{across.at(high):.1f} {up.at(high):.1f}" stroke="#aaa" stroke-dasharray="4 3"/>')
    bars = [s for s in series if s["kind"] == "bars"]
    for place, one in enumerate(series):
        colour = one.get("colour", COLOURS[place % len(COLOURS)])
        shift, thick = 0.0, 0.0
        if one["kind"] == "bars":
            room = (across.at(1) - across.at(0)) * 0.8 if len(names) > 1 else 60
            thick = room / len(bars)
            shift = (bars.index(one) - (len(bars) - 1) / 2) * thick
        points = [
            ((across.at(k if one["kind"] == "bars" else x) + shift), up.at(y), k)
            for k, (x, y) in enumerate(zip(one["x"], one["y"]))
            if y is not None
        ]
        if one["kind"] == "line":
            out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for x, y, k in points:
            if one["kind"] == "bars":
                floor = up.at(0.0) if not up.log else HEIGHT - BOTTOM
                out.append(f'<rect x="{x - thick / 2 + 1:.1f}" y="{min(y, floor):.1f}" width="{max(thick - 2, 1):.1f}" height="{abs(floor - y):.1f}" fill="{colour}" fill-opacity="0.75"/>')
            else:
                size = 2.6 if one["kind"] == "points" else 2.2
                out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}" fill-opacity="0.75"/>')
            if "low" in one and one["low"][k] is not None:
                out.append(f'<path d="M{x:.1f} {up.at(one["low"][k]):.1f}V{up.at(one["high"][k]):.1f}" stroke="{"#333" if one["kind"] == "bars" else colour}"/>')
    named = [(s["name"], s.get("colour", COLOURS[k % len(COLOURS)])) for k, s in enumerate(series) if s.get("name")]
    for row, (name, colour) in enumerate(named):
        y = TOP + 6 + 14 * row if panel.get("legend", "top") == "top" else HEIGHT - BOTTOM - 14 * (len(named) - row)
        x = LEFT + 8 if panel.get("side", "left") == "left" else WIDTH - RIGHT - 8
        left = x if panel.get("side", "left") == "left" else x - 9
        out.append(f'<rect x="{left}" y="{y - 7}" width="9" height="9" fill="{colour}"/>')
        out.append(text(x + 13 if left == x else x - 14, y + 1.5, name, "start" if left == x else "end"))
    return out


class Axis:
    """From values to places on the page, straight or logarithmic."""

    def __init__(self, values, log, start, end, pad):
        self.log = bool(log)
        values = [v for v in values if v is not None and (not self.log or v > 0)] or [1.0, 2.0]
        low, high = min(values), max(values)
        if self.log:
            low, high = math.log10(low), math.log10(high)
        room = pad if pad is not None else 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        if not self.log and pad is None and low == 0.0:
            low = -0.0
            self.low, self.high = low, high + room
        else:
            self.low, self.high = low - room, high + room
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
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            steps = (1,) if last - first > 2 else (1, 2, 5)
            return [s * 10.0**k for k in range(first - 1, last + 1) for s in steps if self.low <= s * 10.0**k <= self.high]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def label(value):
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}".replace("-", "−")


def text(x, y, words, anchor, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(str(words))}</text>'
