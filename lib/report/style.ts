// SPDX-License-Identifier: Apache-2.0
// The style sheet of a report: light or dark as the reader's system says, light on paper, one column
// that also fits a phone. No fonts, pictures or scripts: nothing is fetched.

import { html, type Markup } from './markup.js';

const light: Markup = html`
  --page: #ffffff; --panel: #f6f8fa; --text: #1b1f24; --quiet: #57606a; --hair: #e1e5ea; --strong: #8b949e;
  --s0: #0b5fc0; --s1: #c2410c; --s2: #15803d; --s3: #7c3aed; --s4: #b4236b; --s5: #0e7490; --s6: #854d0e; --s7: #475569;
  --muted: #98a1ab; --published: #57606a; --measured: #15803d;`;

const dark: Markup = html`
  --page: #11151a; --panel: #1a2027; --text: #e8ecf1; --quiet: #a4aeb9; --hair: #2c343d; --strong: #6b7681;
  --s0: #63a9ff; --s1: #ff9c5a; --s2: #5fd08a; --s3: #b79dff; --s4: #ff85bc; --s5: #4fcfde; --s6: #e2b853; --s7: #a5b3c7;
  --muted: #79848f; --published: #a4aeb9; --measured: #5fd08a;`;

/** What a chart needs wherever it stands. */
const chartRules: Markup = html`.chart text { fill: var(--text); font-family: inherit; }
.chart .tick text { fill: var(--quiet); font-variant-numeric: tabular-nums; }
.chart .title text, .chart .category text { fill: var(--text); }
.chart .title text { font-weight: 600; }
.grid path { stroke: var(--hair); stroke-width: 1; }
.axis path { stroke: var(--strong); stroke-width: 1; }
.rule path { stroke: var(--strong); stroke-width: 1; stroke-dasharray: 2 3; }
.chart .rule text { fill: var(--quiet); }
${Array.from({ length: 8 }, (_, i) => html`.s${i} { --c: var(--s${i}); }\n`)}.muted { --c: var(--muted); }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 7 5; } .dotted { stroke-dasharray: 0.1 5; }
.error { stroke: var(--c); stroke-width: 1.5; opacity: 0.7; }
.mark .shape { fill: var(--c); stroke: var(--page); stroke-width: 2; paint-order: stroke; }
.mark.hollow .shape { fill: var(--page); stroke: var(--c); stroke-width: 1.8; paint-order: normal; }
.mark .hit { fill: transparent; }
.mark:hover .shape { stroke: var(--text); stroke-width: 2; }
.chart .label text { fill: color-mix(in srgb, var(--c) 80%, var(--text)); paint-order: stroke; stroke: var(--page); stroke-width: 3px; stroke-linejoin: round; }
.leader { stroke: var(--c); stroke-width: 0.8; opacity: 0.7; }
.bar { fill: var(--c); } .bar.hollow { fill: var(--page); stroke: var(--c); stroke-width: 1.6; }
.chart .value { font-variant-numeric: tabular-nums; } .chart .missing { fill: var(--quiet); font-style: italic; }
`;

/** Of a chart that is a file of its own: light or dark as the reader's system says. */
export const pictureStyle: Markup = html`
svg { ${light} font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { svg { ${dark} } }
.page { fill: var(--page); }
${chartRules}`;

export const style: Markup = html`
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
@media print { :root { color-scheme: light; ${light} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif; }
main { max-width: 928px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 56px 0 8px; }
h3 { font-size: 1rem; line-height: 1.35; margin: 32px 0 8px; }
p { margin: 0 0 12px; max-width: 46em; }
.lead { font-size: 1.1rem; color: var(--quiet); }
code { font: 0.9em ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; background: var(--panel); padding: 1px 5px; border-radius: 4px; overflow-wrap: anywhere; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 24px 0 0; }
dl.facts div { background: var(--panel); border-radius: 8px; padding: 10px 14px; }
dl.facts dt { font-size: 0.8rem; color: var(--quiet); }
dl.facts dd { margin: 0; font-size: 1.1rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 20px 0 8px; }
figcaption { color: var(--quiet); font-size: 0.9rem; max-width: 52em; margin-top: 8px; }
.chart { display: block; max-width: 100%; height: auto; font-size: 12px; }
.medium, .narrow { display: none; } .medium > .chart, .narrow > .chart { width: 100%; }
@media screen and (max-width: 760px) { .wide { display: none; } .medium { display: block; } main { padding: 24px 16px 48px; } h1 { font-size: 1.6rem; } }
@media screen and (max-width: 480px) { .medium { display: none; } .narrow { display: block; } }
${chartRules}.share { --c: var(--s0); display: block; }
.scroll { overflow-x: auto; margin: 16px 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: 5px 12px 5px 0; text-align: left; border-bottom: 1px solid var(--hair); vertical-align: baseline; }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; }
th .badge { font-weight: 400; } td { white-space: nowrap; } td.wrap { white-space: normal; min-width: 14em; }
.right { text-align: right; } tr.best td { font-weight: 650; background: var(--panel); }
.badge { display: inline-block; font-size: 0.72rem; line-height: 1.5; padding: 0 7px; border-radius: 9px; border: 1px solid currentColor; white-space: nowrap; }
.badge.published { color: var(--published); } .badge.measured { color: var(--measured); }
details { margin: 8px 0; font-size: 0.9rem; } summary { cursor: pointer; color: var(--quiet); }
footer { margin-top: 64px; padding-top: 16px; border-top: 1px solid var(--hair); color: var(--quiet); font-size: 0.85rem; }
@media print {
  main { max-width: none; padding: 0; } body { font-size: 11pt; }
  figure, tr, dl.facts div { break-inside: avoid; } h2, h3 { break-after: avoid; }
  details:not([open]) { display: none; } .scroll { overflow: visible; }
}
`;
