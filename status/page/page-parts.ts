/**
 * The constant parts of the page: style, script, and shapes of the countries. They are part of the page, and its policy
 * allows nothing else: the browser needs no other file, and no text from outside can become a script. They are loaded
 * when a browser first asks, because a start does not need them.
 */
import { createHash } from 'node:crypto';

export type PageParts = {
  readonly style: string;
  readonly script: string;
  readonly shapes: ReadonlyMap<string, string>;
  /** Content-Security-Policy of the page. */
  readonly policy: string;
};

let loaded: Promise<PageParts> | undefined;

export function pageParts(): Promise<PageParts> {
  return (loaded ??= load());
}

async function load(): Promise<PageParts> {
  const [{ STYLE }, { SCRIPT }, { SHAPES }] = await Promise.all([
    import('./built/page-style.ts'),
    import('./built/page-script.ts'),
    import('./built/world-map.ts'),
  ]);
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${sourceOf(STYLE)}`,
    `script-src ${sourceOf(SCRIPT)}`,
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { style: STYLE, script: SCRIPT, shapes: SHAPES, policy };
}

function sourceOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
