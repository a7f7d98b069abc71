/** The status page in a real browser: its own policy lets it work, and it follows changes. */
import { describe, expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { run, serve } from '../support/process.ts';
import { CHROMIUM, startChromium } from './chromium.ts';

const files = {
  'pharos.yaml':
    'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nregions: { seoul: { at: KR } }\n',
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
services:
  www: { vips: { a: { region: seoul, A: 192.0.2.1 }, ${'b'.repeat(60)}: { region: seoul, A: 192.0.2.2 } } }
`,
};

describe.skipIf(CHROMIUM === undefined)('the status page', () => {
  test('shows a drain without a reload of the page', { timeout: 60_000 }, async () => {
    using folder = folderOf(files);
    await using server = await serve([], { cwd: folder.path });
    await using browser = await startChromium();
    const page = await browser.page();
    await page.open(`${server.api}/`);
    const rows = `(() => {
      const rows = [...document.querySelectorAll('tbody tr')].map((row) => row.innerText.split(/\\s+/).slice(0, 3).join(' '));
      return JSON.stringify(rows);
    })()`;
    /** Called whenever part of the page changes; the page refreshes when it becomes visible. */
    const until = (text: string): Promise<unknown> =>
      page.evaluate(`new Promise((resolve) => {
        const look = () => document.body?.innerText.includes(${JSON.stringify(text)}) && resolve(true);
        new MutationObserver(look).observe(document, { subtree: true, childList: true });
        look();
        document.dispatchEvent(new Event('visibilitychange'));
      })`);
    await until('2 of 2 available');
    expect(await page.evaluate(rows)).toContain('a seoul not');
    await page.evaluate('window.mark = true');
    const drained = await run([
      'drain',
      'www.example.com/a',
      '--api',
      server.api,
      '--token',
      'secret',
      '--reason',
      'why',
    ]);
    expect(drained.code).toBe(0);
    await until('1 of 2 available');
    expect(await page.evaluate(rows)).toContain('a seoul drain');
    expect(await page.evaluate('window.mark')).toBe(true);
    // Style and script were allowed, and long names do not make the page wider than the window.
    expect(await page.evaluate('getComputedStyle(document.querySelector("table")).tableLayout')).toBe('fixed');
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await server.stop();
    await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
    await page.evaluate(`new Promise((resolve) => {
      const look = () => document.body.classList.contains('lost') && resolve(true);
      new MutationObserver(look).observe(document.body, { attributes: true });
      look();
    })`);
  });
});
