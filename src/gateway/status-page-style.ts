/** How the status page looks: light and dark, wide and on a phone. Colours never stand alone; words say the same. */
export const STATUS_PAGE_STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b1f24; --dim: #57606a; --line: #d8dee4; --up: #1a7f37; --up2: #55a868; --warn: #9a6700; --bad: #cf222e; --new: #0969da; }
@media (prefers-color-scheme: dark) { :root { --bg: #0d1117; --card: #161b22; --ink: #e6edf3; --dim: #9198a1; --line: #30363d; --up: #3fb950; --up2: #238636; --warn: #d29922; --bad: #f85149; --new: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .25rem 0; } .dim { color: var(--dim); } a { color: var(--new); }
main { display: grid; grid-template-columns: repeat(12, 1fr); gap: 1rem; margin-top: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; min-width: 0; grid-column: span 12; }
#safe { border-left: 8px solid var(--dim); } #safe.up { border-left-color: var(--up); } #safe.warn { border-left-color: var(--warn); } #safe.bad { border-left-color: var(--bad); }
#verdict { font-size: 1.5rem; font-weight: 600; margin: 0; }
ul { margin: .25rem 0; padding-left: 1.2rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .5rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--dim); } td.name { overflow-wrap: anywhere; min-width: 6.5rem; } td.number { white-space: nowrap; } th.number, td.number { text-align: right; padding-right: 1.5rem; }
tbody tr:hover, tbody tr:focus { outline: 2px solid var(--new); outline-offset: -2px; }
.trouble { display: block; color: var(--dim); font-size: .87rem; }
.up { color: var(--up); } .warn { color: var(--warn); } .bad { color: var(--bad); } .new { color: var(--new); } #safe { color: inherit; }
svg { display: block; width: 100%; max-width: 21rem; margin: 0 auto; }
svg path { fill: none; stroke-width: 15; } svg path.up { stroke: var(--up); } svg path.up.odd { stroke: var(--up2); } svg path.warn { stroke: var(--warn); } svg path.bad { stroke: var(--bad); stroke-dasharray: 3 2; } svg path.new { stroke: var(--new); }
svg path.fades { opacity: .2; } svg text { fill: var(--ink); text-anchor: middle; font-size: 11px; } svg text.big { font-size: 22px; font-weight: 600; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: 0; } dt { color: var(--dim); } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
ol { list-style: none; margin: 0; padding: 0; max-height: 18rem; overflow-y: auto; } ol li { padding: .2rem 0; border-bottom: 1px solid var(--line); } time { color: var(--dim); margin-right: .75rem; font-variant-numeric: tabular-nums; }
pre { margin: .25rem 0; padding: .5rem; overflow-x: auto; background: var(--bg); border-radius: 6px; font-size: .87rem; }
#lost { background: var(--bad); color: #fff; padding: .5rem 1rem; border-radius: 8px; margin-top: 1rem; }
footer { margin: 1rem 0; display: flex; gap: 1rem; flex-wrap: wrap; }
@media (min-width: 56rem) { td.name { min-width: 11rem; } #ring { grid-column: span 5; } #members { grid-column: span 7; } #work, #happened { grid-column: span 6; } }
`;
