"""The plot of docs/performance.svg: requests per second as ratios, on a logarithmic axis."""

import math

import peers

LEFT, RIGHT, TOP, BOTTOM = 300, 30, 70, 40
WIDTH, ROW = 900, 26
COLOURS = {
    "module": "#c1121f", "daemon": "#222222", "embedded": "#7f7f7f", "granian": "#1f77b4",
    "gunicorn": "#2ca02c", "uwsgi": "#9467bd", "fcgi": "#8c564b", "static": "#e6a700",
    "floor": "#17becf",
}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw(summary):
    """One line for each workload, one dot for each server; a bar shows the rounds' spread."""
    rows = [(shape, workload) for shape, workload in summary.rows()
            if any(dots(summary, shape, workload))]
    values = [end for shape, workload in rows for _, spread in dots(summary, shape, workload)
              for end in (spread.low, spread.high)] or [1]
    low = max(tick for tick in TICKS if tick <= max(min(values), TICKS[0]))
    high = min(tick for tick in TICKS if tick >= min(max(values), TICKS[-1]))
    if low == high:
        low, high = 0.5, 2

    def across(value):
        share = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(rows) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        "<title>Requests per second as a multiple of mod_wsgi's daemon mode</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *legend(summary.peers()),
    ]
    bottom = TOP + ROW * len(rows)
    for tick in TICKS:
        if low <= tick <= high:
            x, weight = across(tick), 2 if tick == 1 else 1
            lines += [
                f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#dddddd" stroke-width="{weight}"/>',
                f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g} ×</text>',
            ]
    for index, (shape, workload) in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        title = workload.title + (f", {shape}" if shape in ("worker", "prefork") else "")
        lines += [
            f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{title}</text>',
            f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#eeeeee"/>',
        ]
        # Ours last, so that it lies on top.
        row = sorted(dots(summary, shape, workload), key=lambda dot: dot[0].key == "module")
        for peer, spread in row:
            lines += dot(peer, spread, across, y)
    return "\n".join([*lines, "</svg>", ""])


def dots(summary, shape, workload):
    for peer in summary.peers():
        cell = summary.cell(shape, workload, peer)
        if cell and "rps" in cell.ratios:
            yield peer, cell.ratios["rps"]


def dot(peer, spread, across, y):
    colour = COLOURS[peer.key]
    radius = 6 if peer.key == "module" else 4
    yield (f'<path d="M{across(spread.low):.1f} {y}H{across(spread.high):.1f}" '
           f'stroke="{colour}" stroke-width="2" opacity="0.5"/>')
    yield (f'<circle cx="{across(spread.median):.1f}" cy="{y}" r="{radius}" fill="{colour}">'
           f"<title>{peer.title}: {spread.median:.2f}</title></circle>")


def legend(shown):
    columns = 5
    for index, peer in enumerate(shown):
        x, y = 20 + index % columns * 175, 20 + index // columns * 22
        yield f'<circle cx="{x}" cy="{y}" r="5" fill="{COLOURS[peer.key]}"/>'
        yield f'<text x="{x + 10}" y="{y + 4}">{peer.short}</text>'


assert COLOURS.keys() == peers.BY_KEY.keys()
