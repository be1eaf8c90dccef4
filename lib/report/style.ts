import { binColours, hex } from './palette.js';

/** Colour variables `--b0`, `--b1`, ... of one theme. */
function binVariables(binCount: number, theme: 'light' | 'dark'): string {
  return binColours(binCount, theme)
    .map((colour, i) => `--b${i}:${hex(colour)}`)
    .join(';');
}

/** The page's style sheet. Paper is always light. */
export function styleSheet(binCount: number): string {
  const dark = `color-scheme:dark;--page:#14161a;--panel:#1b1e24;--ink:#e9eaed;--muted:#a3a9b3;--rule:#30353e;--none:#7d838d;${binVariables(binCount, 'dark')}`;
  return `
:root{color-scheme:light;--page:#fff;--panel:#f6f6f4;--ink:#1b1d22;--muted:#5b616b;--rule:#dcdcd8;--none:#8b9099;${binVariables(binCount, 'light')}}
@media screen and (prefers-color-scheme:dark){:root{${dark}}}
${RULES}`;
}

const RULES = `
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main,header,nav ul,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:56px}
.kicker{margin:0 0 6px;color:var(--muted);font-size:14px;letter-spacing:.02em}
h1{margin:0;font-size:clamp(28px,4.4vw,42px);line-height:1.12;letter-spacing:-.02em;font-weight:680;text-wrap:balance}
h2{margin:0 0 6px;font-size:24px;line-height:1.25;letter-spacing:-.012em;font-weight:660}
h3{margin:28px 0 8px;font-size:15px;font-weight:640}
h3 small{color:var(--muted);font-weight:400;font-size:14px;margin-left:6px}
.lead{max-width:72ch;text-wrap:pretty;margin:0 0 20px;color:var(--muted)}
header .lead{margin:18px 0 0;font-size:18px;color:var(--ink)}
header .lead.small{font-size:16px;color:var(--muted);margin-top:10px}
.stats{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 32px;margin:32px 0 0;padding:4px 0;border-top:1px solid var(--rule);border-bottom:1px solid var(--rule)}
.stats div{padding:12px 0}
.stats dt{color:var(--muted);font-size:13.5px}
.stats dd{margin:2px 0 0;font-size:22px;line-height:1.25;font-weight:620;letter-spacing:-.01em;white-space:nowrap}
nav{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid var(--rule);margin-top:28px}
nav ul{display:flex;gap:22px;list-style:none;overflow-x:auto;white-space:nowrap}
nav a{display:block;padding:11px 0;color:var(--muted);text-decoration:none;font-size:14.5px}
nav a:hover{color:var(--ink);text-decoration:underline;text-underline-offset:4px}
main>section{padding:52px 0 0;scroll-margin-top:12px}
.swatch{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:8px;vertical-align:-1px;flex:none;print-color-adjust:exact}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 8px;color:var(--muted);font-size:14px}
.key .swatch{margin-right:5px}
.shelf{break-inside:avoid}
.tiles{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:14px 12px}
figure{margin:0}
.pair{display:flex;gap:2px;border-radius:5px;overflow:hidden;background:var(--panel)}
.pair img{flex:1 1 0;min-width:0;width:100%;height:auto;display:block}
.tiles figcaption{display:flex;gap:8px;justify-content:space-between;margin-top:3px;font-size:12.5px;line-height:1.4}
.id{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.rank{color:var(--muted);flex:none}
.chart{margin-top:8px}
.ylabel,.xlabel{margin:0;color:var(--muted);font-size:13px}
.ylabel{margin:0 0 10px 62px}
.xlabel{text-align:right;margin:-6px 10px 0 0}
.plot{position:relative;margin:0 10px 30px 62px;height:300px}
.plot svg{display:block;width:100%;height:100%;overflow:visible;border-bottom:1px solid var(--muted)}
.gridline{stroke:var(--rule);stroke-width:1;vector-effect:non-scaling-stroke}
.yticks span,.xticks span{position:absolute;color:var(--muted);font-size:12.5px;line-height:1;white-space:nowrap}
.yticks span{right:calc(100% + 10px);transform:translateY(50%)}
.xticks span{top:calc(100% + 9px);transform:translateX(-50%)}
.curve polyline{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round;vector-effect:non-scaling-stroke}
.curve polyline.dot{stroke-width:4.5}
.band{fill:transparent}.band.odd{fill:var(--ink);fill-opacity:.045}
g:hover>.band{fill:var(--ink);fill-opacity:.09}
.legend{display:flex;flex-wrap:wrap;gap:6px;margin:0 0 12px}
.legend button{display:inline-flex;align-items:center;font:inherit;font-size:13.5px;line-height:1;padding:7px 11px 7px 9px;border:1px solid var(--rule);border-radius:999px;background:transparent;color:var(--ink);cursor:pointer}
.legend button:hover{border-color:var(--muted)}
.legend button[aria-pressed=false]{color:var(--muted);text-decoration:line-through}
.legend button[aria-pressed=false] i{opacity:.25}
.legend .divider{width:1px;margin:4px 4px;background:var(--rule)}
.legend .swatch{border-radius:50%;margin-right:7px}
i.dot{width:6px;height:6px;border-radius:50%;background:var(--muted);margin:0 9px 0 4px}
i.dot.ring{width:11px;height:11px;border:1.5px solid var(--ink);margin:0 7px 0 1px}
.map{position:relative;background:var(--panel);border-radius:8px}
.map canvas{display:block;width:100%;height:560px;border-radius:8px;touch-action:pan-y}
.map .axis{position:absolute;color:var(--muted);font-size:12.5px;pointer-events:none}
.axis.x{right:12px;bottom:6px}.axis.y{left:6px;top:12px;writing-mode:vertical-rl;transform:rotate(180deg)}
.map noscript{position:absolute;inset:0;display:grid;place-items:center;color:var(--muted)}
:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
#tip{position:absolute;z-index:1;display:grid;max-width:240px;padding:8px 10px;border-radius:6px;background:var(--page);border:1px solid var(--rule);box-shadow:0 4px 16px #0003;font-size:13px;line-height:1.4;pointer-events:none}
#tip[hidden]{display:none}
#tip img{width:112px;height:auto;border-radius:3px;margin-bottom:5px}
#tip span{color:var(--muted)}
.hint{max-width:78ch;text-wrap:pretty;margin:14px 0 0;color:var(--muted);font-size:14.5px}
details{margin-top:16px}
summary{cursor:pointer;font-size:14.5px;width:max-content}
.scroll{overflow:auto;max-height:420px;margin-top:10px}
.wide{overflow-x:auto;margin-top:10px}
.wide th[scope=row]{white-space:nowrap}
table{border-collapse:collapse;font-size:14.5px}
th,td{text-align:left;vertical-align:top;padding:5px 24px 5px 0;border-bottom:1px solid var(--rule)}
th{font-weight:400;color:var(--muted)}
thead th{font-size:13px}
.numbers td,.numbers thead th:not(:first-child){text-align:right}
.numbers td:last-child,.numbers thead th:last-child{padding-right:0}
.total th,.total td{color:var(--ink);font-weight:620;border-bottom:0}
.facts{width:100%}
.facts th{width:34%;min-width:120px}
.facts td{padding-right:0}
.muted{color:var(--muted)}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 56px}
.columns table{width:100%}
footer{margin-top:64px;padding-top:18px;padding-bottom:48px;color:var(--muted);font-size:13.5px}
@media (max-width:980px){.tiles{grid-template-columns:repeat(4,minmax(0,1fr))}}
@media (max-width:680px){
main,header,nav ul,footer{padding-left:16px;padding-right:16px}
header{padding-top:36px}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:12px 10px}
.columns{grid-template-columns:1fr}
.stats{justify-content:flex-start}
.plot{height:220px;margin-left:50px}.ylabel{margin-left:50px}
.map canvas{height:400px}
h3 small{display:block;margin:2px 0 0}
main>section{padding-top:40px}
}
@media print{
body{font-size:11pt}nav,#tip{display:none}
h2,h3,.lead{break-after:avoid}.stats{justify-content:flex-start}
.map canvas{object-fit:contain}
main,header,footer{max-width:none;padding-left:0;padding-right:0}
main>section{padding-top:24pt}.chart,.map{break-inside:avoid}
.tiles{grid-template-columns:repeat(6,minmax(0,1fr))}
.map,.plot svg{print-color-adjust:exact}
}
`;
