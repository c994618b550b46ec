/** The report's style sheet: light and dark by the reader's own setting, and on paper. */
export const style = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f4f5f7, #101317);
  --card: light-dark(#ffffff, #191d23);
  --line: light-dark(#dfe3e8, #2c323b);
  --text: light-dark(#1b2026, #e4e8ed);
  --quiet: light-dark(#626c78, #939daa);
  --accent: light-dark(#0b62c4, #6db3ff);
  --warn: light-dark(#fff3d6, #3a2f10);
  --warn-line: light-dark(#e0a800, #a67c00);
  --good: light-dark(#12713f, #5fd69a);
  --bad: light-dark(#ad2a1a, #ff9082);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main, header, footer { max-width: 1320px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 32px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 1.05rem; margin: 0 0 10px; }
a { color: var(--accent); }
.quiet { color: var(--quiet); }
.number { font-variant-numeric: tabular-nums; }
.banner { background: var(--warn); border-left: 4px solid var(--warn-line); border-radius: 4px; padding: 10px 14px; margin: 16px 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 22px; align-items: center; margin: 16px 0; color: var(--quiet); font-size: 0.87rem; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
.legend svg { width: 22px; height: 16px; background: #4a5058; border-radius: 2px; }
.scale { width: 110px; height: 10px; border-radius: 2px; background: linear-gradient(90deg, #000080, #0000ff, #00ffff, #ffff00, #ff0000, #800000); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 18px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; display: flex; flex-direction: column; break-inside: avoid; }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; background: #000; }
.pictures svg { display: block; width: 100%; height: auto; max-height: 420px; }
.words { display: flex; flex-wrap: wrap; gap: 8px; }
.words figure { margin: 0; width: 88px; text-align: center; font-size: 0.75rem; color: var(--quiet); overflow-wrap: anywhere; line-height: 1.25; }
.words img { display: block; width: 88px; max-height: 120px; object-fit: contain; border-radius: 3px; margin-bottom: 2px; }
.body { padding: 14px 16px 16px; display: flex; flex-direction: column; gap: 8px; flex: 1; }
.phrase { font-size: 1.12rem; line-height: 1.35; margin: 0; }
.phrase .kept { font-weight: 600; text-decoration: underline; text-decoration-color: var(--accent); text-decoration-thickness: 2px; text-underline-offset: 4px; }
.phrase .left { color: var(--quiet); }
.facts { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0; font-size: 0.92rem; }
.facts dt { color: var(--quiet); display: inline; margin-right: 5px; }
.facts dd { display: inline; margin: 0; font-variant-numeric: tabular-nums; }
.inside { color: var(--good); }
.outside { color: var(--bad); }
.note { margin: 0; font-size: 0.9rem; }
details { font-size: 0.9rem; }
summary { cursor: pointer; color: var(--quiet); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 8px 0 0; }
th, td { text-align: left; padding: 3px 16px 3px 0; vertical-align: top; font-weight: normal; }
th { color: var(--quiet); white-space: nowrap; }
td { overflow-wrap: anywhere; }
thead th { border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.files { margin-top: auto; font-size: 0.87rem; }
.files a { margin-right: 12px; }
.about { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 18px; margin: 28px 0; }
.about section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; }
footer { padding-bottom: 40px; font-size: 0.87rem; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin: 18px 0; }
.panel > p:last-child { margin-bottom: 0; }
.findings { margin: 0; padding-left: 20px; font-size: 0.92rem; }
.findings li { margin: 0 0 9px; }
.findings li:last-child { margin: 0; }
@media print { body { background: none; } .card, .about section { border-color: #bbb; } .panel { break-inside: avoid; } details { display: none; } }
`;
