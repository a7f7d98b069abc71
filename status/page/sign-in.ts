/**
 * The page for a browser without a token where reading needs one. The script sends the token and shows the page then.
 */
import { html } from './markup.ts';
import type { PageParts } from './page-parts.ts';
import { shapesOnce } from './world.ts';

/** `why`: the reason of the refusal. It says nothing about the server that a client without a token may not read. */
export function signInPage(parts: PageParts, why: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sign in · Pharos</title><link rel="icon" href="data:,"><style>${parts.style}</style></head><body>
${shapesOnce(parts.shapes)}<header><a class="name" href="/">Pharos</a></header>
<p id="lost" class="note bad" role="alert"></p>
<main><h1 class="verdict">Sign in</h1>
<p>${html(why)}.</p>
<noscript><p class="note odd">The form needs a script. Without one, use an SSH tunnel to the port of this server, or a program that sends <code>Authorization: Bearer TOKEN</code>.</p></noscript>
<form class="sign-in inline script" id="sign-in"><label>Token <input type="password" name="token" autocomplete="off" required autofocus></label> <button>Sign in</button></form><p id="said" role="status"></p>
<p class="soft">The token stays in this tab, and is sent to this server alone. It is forgotten when the tab is closed.</p>
</main><footer></footer><script>${parts.script}</script></body></html>
`;
}
