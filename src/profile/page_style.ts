import { familyStyle } from "./families.ts";

/** What the profile's pages add to the report's style sheet. */
export const profileStyle = `
${familyStyle}
.two { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 18px; align-items: start; }
.two .panel { margin: 0; height: 100%; }
@media (max-width: 900px) { .two { grid-template-columns: minmax(0, 1fr); } }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px; margin: 18px 0; }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 1.3rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: 0.84rem; line-height: 1.3; display: block; }
.panel svg { display: block; width: 100%; height: auto; }
.panel svg text { font-size: 11px; fill: var(--text); }
.swatch { width: 12px; height: 12px; border-radius: 2px; background: var(--family); display: inline-block; flex: none; }
.panel .legend { margin: 10px 0 0; }
.flame rect { fill: var(--family); }
.flame text { pointer-events: none; }
.flame g { cursor: pointer; }
.flame g:hover rect, .flame g.same rect { stroke: var(--text); stroke-width: 1.2; }
.chosen { min-height: 1.5em; margin: 8px 0 0; font-size: 0.9rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
.grid line { stroke: var(--line); }
.panel .grid text, .panel text.axis, .panel text.roof-name { fill: var(--quiet); }
.roof { fill: none; stroke: var(--text); stroke-width: 1.6; }
.roof.dashed { stroke-width: 1; stroke-dasharray: 5 4; }
.roofline circle { fill: var(--family); fill-opacity: 0.75; stroke: color-mix(in srgb, var(--family), var(--text) 45%); }
.roofline a:hover circle { stroke: var(--text); stroke-width: 2; }
.panel text.point-number { font-size: 11px; font-weight: 600; pointer-events: none; paint-order: stroke; stroke: color-mix(in srgb, var(--card), transparent 25%); stroke-width: 3px; }
.legend.numbers { list-style-position: inside; padding: 0; font-variant-numeric: tabular-nums; }
${["#5b8ff0", "#e58f2a", "#4ba88f", "#d9615a", "#9a78cf", "#b8a13a", "#cf7aa8", "#6d8ea6", "#8f9aa6"].map((colour, i) => `.series-${i} { --family: ${colour}; fill: var(--family); }`).join("\n")}
.peak { stroke: var(--text); stroke-dasharray: 3 4; }
.differences rect { fill: var(--family); }
.differences .pale rect { fill-opacity: 0.35; }
.strip rect { fill: var(--accent); }
.strip.host rect { fill: var(--warn-line); }
.strip rect.ground { fill: var(--line); opacity: 0.5; }
.measures .variant { color: var(--quiet); font-size: 0.92em; }
.measures .swatch { margin-right: 7px; }
.measures td.bar { background: linear-gradient(to left, color-mix(in srgb, var(--accent), transparent 72%) var(--part), transparent var(--part)) no-repeat 100% 50% / 100% 15px; }
pre { margin: 8px 0 0; padding: 12px; background: var(--page); border-radius: 5px; overflow-x: auto; font: 12.5px/1.45 ui-monospace, Menlo, Consolas, monospace; tab-size: 2; }
pre .comment { color: var(--quiet); }
.source { border-top: 1px solid var(--line); padding: 6px 0; }
.source summary { color: var(--text); }
.scopes { max-height: 620px; overflow-y: auto; }
@media print { .scopes { max-height: none; } }
`;
