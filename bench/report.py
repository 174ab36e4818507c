"""Writes the tables of docs/performance.md between its marks, from the results."""

import peers
import places
import plot
import workloads
from summary import Summary

SHAPE_TITLES = {"worker": ", worker MPM", "prefork": ", prefork MPM"}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def publish(results):
    """Puts the tables and the plot into docs/."""
    page = places.PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}"
    places.PAGE.write_text(text, encoding="utf-8")
    places.PLOT.write_text(plot.draw(Summary(results)), encoding="utf-8")


def tables(results):
    """All tables, as Markdown."""
    summary = Summary(results)
    parts = [circumstances(results)]
    hello = workloads.BY_KEY["hello-32"]
    if ("event", hello) in summary.rows():
        parts += ["### Hello, 32 connections, event MPM", details(summary, "event", hello)]
    if any(cell.ratios for cell in summary.cells.values()):
        parts += ["### Requests per second, as a multiple of mod_wsgi's daemon mode",
                  ratios(summary, "rps"),
                  "![Requests per second of each server](performance.svg)",
                  "### CPU time per request, as a multiple of mod_wsgi's daemon mode",
                  ratios(summary, "cpu"),
                  "### 99th percentile, as a multiple of mod_wsgi's daemon mode",
                  ratios(summary, "p99")]
    if results.get("anatomy"):
        parts += ["### System calls and memory", anatomy(results)]
    if faults := failures(summary):
        parts += ["### Errors and wrong answers", faults]
    others = [(shape, load) for shape, load in summary.rows() if (shape, load) != ("event", hello)]
    if others:
        parts += ["### Each workload", "<details><summary>All figures</summary>"]
        for shape, workload in others:
            parts += [f"**{row_title(shape, workload)}**", details(summary, shape, workload)]
        parts.append("</details>")
    return "\n\n".join(parts) + "\n"


def circumstances(results):
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (f"Measured {results['when']} on {results['machine']}. {results['rounds']} rounds of "
            f"{results['seconds']} s for each cell. {versions}.")


def row_title(shape, workload):
    return workload.title + SHAPE_TITLES.get(shape, "")


def table(heads, rows):
    aligned = [":--"] + ["--:"] * (len(heads) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, aligned, *rows))


def details(summary, shape, workload):
    """One workload: a line for each server."""
    rows = []
    for peer in summary.peers():
        cell = summary.cell(shape, workload, peer)
        if cell is None:
            continue
        if not cell.figures:
            rows.append([peer.title, "failed"] + ["–"] * 7)
            continue
        value = cell.figures
        rows.append([
            peer.title + ("" if not cell.errors and not cell.failed else " (!)"),
            f"{number(value['rps'].median)} ({number(value['rps'].low)}–"
            f"{number(value['rps'].high)})",
            ratio(cell, "rps"),
            *(milliseconds(value[name].median) for name in ("p50", "p99", "max")),
            f"{value['cpu_httpd'].median:.3f}", f"{value['cpu_servers'].median:.3f}",
            ratio(cell, "cpu"),
        ])
    heads = ["server", "requests/s (spread)", "× daemon", "p50 ms", "p99 ms", "max ms",
             "CPU httpd", "CPU server", "CPU × daemon"]
    return table(heads, rows)


def ratios(summary, figure):
    """All workloads against all servers, but for the reference itself."""
    columns = [peer for peer in summary.peers() if peer.key != peers.REFERENCE]
    rows = []
    for shape, workload in summary.rows():
        cells = [summary.cell(shape, workload, peer) for peer in columns]
        rows.append([row_title(shape, workload)] + [
            "–" if cell is None else ratio(cell, figure, spread=True) for cell in cells])
    return table(["workload"] + [peer.short for peer in columns], rows)


def ratio(cell, figure, spread=False):
    if not cell.figures:
        return "failed"
    found = cell.ratios.get(figure)
    if not found:
        return "–"
    mark = " (!)" if spread and cell.errors else ""
    if spread and found.low != found.high:
        return f"{found.median:.2f} ({found.low:.2f}–{found.high:.2f}){mark}"
    return f"{found.median:.2f}{mark}"


def anatomy(results):
    """Calls per small request beyond a static file's, and memory."""
    found = results["anatomy"]
    static = sum_calls(found.get("static"), "httpd")
    rows = []
    for peer in peers.ALL:
        entry = found.get(peer.key)
        if not entry or "failed" in entry:
            continue
        httpd, servers = sum_calls(entry, "httpd"), sum_calls(entry, "servers")
        memory = entry["memory"]
        rows.append([
            peer.title,
            "–" if httpd is None else f"{httpd:.1f}",
            "–" if httpd is None or static is None else f"{httpd - static:+.1f}",
            "–" if servers is None else f"{servers:.1f}",
            *(mebibytes(memory[role]) for role in ("httpd", "servers", "largest")),
        ])
    if bare := results.get("bare"):
        rows.append(["an interpreter that does nothing", "–", "–", "–", "–", "–", mebibytes(bare)])
    heads = ["server", "calls in httpd", "beyond a static file", "calls in the server",
             "httpd child MiB", "servers in all MiB", "largest server process MiB"]
    return table(heads, rows)


def sum_calls(entry, role):
    calls = (entry or {}).get("calls")
    return sum(calls[role].values()) if calls and role in calls else None


def failures(summary):
    """What went wrong, in words: one line for each cell that has errors."""
    lines = []
    for shape, workload in summary.rows():
        for peer in summary.peers():
            cell = summary.cell(shape, workload, peer)
            if cell and (cell.errors or cell.failed):
                counts = [f"{count} × {kind}" for kind, count in cell.errors.items()]
                words = ", ".join(counts + ([f"failed: {cell.failed}"] if cell.failed else []))
                lines.append(f"- {row_title(shape, workload)}, {peer.title}: {words}")
    return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f}" if microseconds < 1e5 else f"{microseconds / 1000:.0f}"


def mebibytes(memory):
    return f"{memory['pss'] / 1024:.1f} ({memory['private'] / 1024:.1f})" if memory else "–"
