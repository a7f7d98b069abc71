/**
 * Style and script of the status page. Both are part of the page, and its policy allows nothing else: the browser needs
 * no other request, and no text from outside can become a script.
 */
import { createHash } from 'node:crypto';

/** Refresh interval of a visible page. A hidden page does not refresh. */
const REFRESH_MS = 5000;

export const STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5b6570;--line:#dfe3e8;--good:#12733b;
--bad:#b3261e;--odd:#8a5300;--badpage:#fdecea;--oddpage:#fff4e0;--link:#0b57b0}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2127;--text:#e6e9ed;--soft:#9aa5b1;--line:#323942;
--good:#5fd08f;--bad:#ff8a80;--odd:#f3b95f;--badpage:#3a1d1b;--oddpage:#35290f;--link:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
main,header{max-width:70rem;margin:0 auto;padding:0 1rem}
header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;justify-content:space-between;padding-top:1rem}
h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}p{margin:.25rem 0}
a{color:var(--link)}.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}.odd{color:var(--odd)}
.none{color:var(--soft)}
input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:.4rem;
padding:.3rem .6rem}
input{width:16rem;max-width:60vw}
.note{border-left:.3rem solid;border-radius:.3rem;padding:.5rem .8rem;margin:.75rem 0}
.note.bad{background:var(--badpage)}.note.odd{background:var(--oddpage)}.note span{color:var(--text)}
section.service{background:var(--card);border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;padding:.5rem .8rem}
section.service h3{font-size:1rem;margin:0;display:flex;flex-wrap:wrap;gap:0 .8rem;align-items:baseline}
h3 .soft{font-weight:400;font-size:.9rem}
table{width:100%;border-collapse:collapse;margin-top:.3rem;table-layout:fixed}
th:nth-child(1){width:18%}th:nth-child(2){width:11%}th:nth-child(3){width:17%}th:nth-child(4){width:7%}
th:nth-child(5){width:9%}th:nth-child(6){width:8%}
th{text-align:left;font-weight:400;color:var(--soft);font-size:.85rem}
td,th{padding:.2rem .8rem .2rem 0;vertical-align:top}tbody tr{border-top:1px solid var(--line)}
td.n,th.n{text-align:right}
ul{list-style:none;margin:0;padding:0;columns:20rem;column-gap:2rem}li{break-inside:avoid;padding:.1rem 0}
footer{color:var(--soft);font-size:.85rem;padding:1.5rem 0}
#lost{display:none}.lost #lost{display:block}
@media(max-width:40rem){thead{display:none}tr,table,tbody{display:block}tbody tr{padding:.3rem 0}
td,td.n{display:inline-block;padding:0 .7rem 0 0;text-align:left}td[data-name]:before{content:attr(data-name) " ";
color:var(--soft);font-size:.85rem}td:first-child{display:block;font-weight:600}td.last{display:block}td:empty{display:none}}
`;

export const SCRIPT = `
'use strict';
const main = document.querySelector('main');
let busy = false;
const look = async () => {
  if (busy || document.hidden || String(getSelection()) !== '') return;
  busy = true;
  try {
    const reply = await fetch(location.href, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(10000) });
    if (!reply.ok) throw new Error(reply.statusText);
    const next = new DOMParser().parseFromString(await reply.text(), 'text/html');
    main.replaceChildren(...next.querySelector('main').childNodes);
    document.title = next.title;
    document.body.classList.remove('lost');
  } catch {
    document.body.classList.add('lost');
  }
  busy = false;
};
setInterval(look, ${REFRESH_MS});
document.addEventListener('visibilitychange', look);
`;

const source = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Content-Security-Policy of the page. */
export const POLICY = [
  "default-src 'none'",
  'img-src data:',
  `style-src ${source(STYLE)}`,
  `script-src ${source(SCRIPT)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');
