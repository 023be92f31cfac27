"""Draws what a terminal shows as an SVG: python3 docs/terminal_svg.py < text > picture.svg

Understands the colours that `strop` uses (bold, dim and the sixteen ANSI foregrounds).
"""
import re, sys
from html import escape

COLOURS = dict(zip(range(30, 38), "#1e1e2e #e05561 #8cc265 #d18f52 #4aa5f0 #c162de #42b3c2 #d7dae0".split()))
COLOURS.update(zip(range(90, 98), "#6b7280 #ff616e #a5e075 #f0a45d #4dc4ff #de73ff #4cd1e0 #ffffff".split()))
CELL, LINE, PAD = 8.4, 18, 16


def spans(line):
    style = {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        codes = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if not codes:
            if part:
                yield part, dict(style)
            continue
        for code in map(int, (codes[1] or "0").split(";")):
            if code == 0:
                style.clear()
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = ".6"
            elif code == 22:
                style.pop("font-weight", None), style.pop("opacity", None)
            elif code == 39:
                style.pop("fill", None)
            elif code in COLOURS:
                style["fill"] = COLOURS[code]


lines = sys.stdin.read().rstrip("\n").split("\n")
width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) * CELL + 2 * PAD
height = len(lines) * LINE + 2 * PAD
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
      f'viewBox="0 0 {width:.0f} {height}">')
print(f'<rect width="100%" height="100%" rx="8" fill="#16181d"/>')
print('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#d7dae0" '
      'xml:space="preserve">')
for row, line in enumerate(lines):
    column, out = 0, ""
    for text, style in spans(line):
        css = "".join(f' {key}="{value}"' for key, value in style.items())
        x, length = PAD + column * CELL, len(text) * CELL
        out += f'<tspan x="{x:.1f}" textLength="{length:.1f}"{css}>{escape(text)}</tspan>'
        column += len(text)
    print(f'<text y="{PAD + (row + 0.75) * LINE:.1f}">{out}</text>')
print("</g></svg>")
