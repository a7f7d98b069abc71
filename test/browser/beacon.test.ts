/**
 * The page of examples/beacon in a real browser, three regions that respond with different delays, and the DNS answers
 * that result.
 */
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dig, eventually, has, ROOT, run, serve } from '../support/process.ts';
import { CHROMIUM, startChromium } from './chromium.ts';

const EXAMPLE = join(ROOT, 'examples/beacon');
/**
 * Virginia is fastest here, although all these networks are in Korea: in ms, and none faster than light. Far apart: a
 * browser on a busy machine measures a few hundred more.
 */
const DELAYS = { seoul: 1300, virginia: 140, dublin: 700 } as const;
const SOURCES = ['1.208.7.1', '1.208.7.2', '1.208.7.3'];

const folder = mkdtempSync(join(tmpdir(), 'pharos-beacon-'));
const servers: Server[] = [];

async function listening(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

beforeAll(() => {
  if (CHROMIUM === undefined) console.log('skipped: chromium is not installed');
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

test.skipIf(CHROMIUM === undefined || !has('dig'))(
  'measurements by browsers decide for their network, and explain says so',
  async () => {
    const ports = new Map<string, number>();
    for (const [region, delayMs] of Object.entries(DELAYS)) {
      // Virginia allows pages to see its timing, the others do not, so both ways of measuring are used.
      const headers = region === 'virginia' ? { 'timing-allow-origin': '*' } : {};
      ports.set(
        region,
        await listening((_, response) => {
          setTimeout(() => response.writeHead(204, headers).end(), delayMs);
        }),
      );
    }

    let source = SOURCES[0] ?? '';
    let api = '';
    // As docs/latency.md configures a proxy: these two paths, and the client's address.
    const proxy = await listening((incoming, response) => {
      const { pathname } = new URL(incoming.url ?? '/', 'http://proxy');
      if (pathname !== '/beacon.js' && pathname !== '/api/v1/beacon') {
        response.writeHead(404).end();
        return;
      }
      const headers = { ...incoming.headers, 'x-forwarded-for': source };
      const outgoing = request(`${api}${pathname}`, { method: incoming.method ?? 'GET', headers }, (reply) => {
        response.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(response);
      });
      incoming.pipe(outgoing);
    });
    const html = readFileSync(join(EXAMPLE, 'index.html'), 'utf8');
    const page = html.replace('https://www.example.com/pharos/', `http://127.0.0.1:${proxy}/`);
    expect(page).not.toBe(html);
    const web = await listening((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page));

    cpSync(EXAMPLE, folder, { recursive: true });
    const written = readFileSync(join(EXAMPLE, 'pharos.yaml'), 'utf8');
    const yaml = written
      .replace('127.0.0.1:5300', '127.0.0.1:0')
      .replace('127.0.0.1:8053', "'127.0.0.1:0'")
      .replace('https://www.example.com', `http://127.0.0.1:${web}`)
      .replace('apply: 5m', 'apply: 1s\n  tries: 2')
      .replaceAll(
        /https:\/\/(\w+)\.example\.com/g,
        (_, region: string) => `http://127.0.0.1:${ports.get(region) ?? 0}`,
      );
    writeFileSync(join(folder, 'pharos.yaml'), yaml);

    await using server = await serve(['pharos.yaml'], { cwd: folder });
    api = server.api;
    await using browser = await startChromium();
    const ask = (subnet: string): Promise<string> => dig(server.port, 'www.example.com', `+subnet=${subnet}`);
    expect(await ask('1.208.7.0/24')).toBe('203.0.113.10');

    for (const one of SOURCES) {
      source = one;
      const tab = await browser.page();
      await tab.open(`http://127.0.0.1:${web}/`);
      const state = "document.getElementById('state')?.textContent ?? ''";
      await eventually(
        () => tab.evaluate(state),
        (text) => String(text).startsWith('Reported'),
      );
      expect(await tab.evaluate(state)).toBe('Reported; 3 of 3 count.');
      const rows = await tab.evaluate("[...document.querySelectorAll('tr')].map((row) => row.cells[0].textContent)");
      expect(rows).toEqual(['virginia', 'dublin', 'seoul']);
    }

    await eventually(
      () => ask('1.208.7.0/24'),
      (answer) => answer === '198.51.100.10',
    );
    expect(await ask('1.208.8.0/24')).toBe('203.0.113.10');
    const explained = await run(['explain', 'www.example.com', '--client', '1.208.7.99', '--api', server.api]);
    expect(explained.stdout).toMatch(
      /virginia [\d.]+ ms \(kept\).*; measured for 1\.208\.7\.0\/24: browsers \(3 sources\)/,
    );
    const metrics = await (await fetch(`${server.api}/metrics`)).text();
    expect(metrics).toContain('pharos_beacon_samples_total{result="kept"} 9');

    // The measurements survive a restart of the server.
    expect((await server.stop()).code).toBe(0);
    await using again = await serve(['pharos.yaml'], { cwd: folder });
    expect(await dig(again.port, 'www.example.com', '+subnet=1.208.7.0/24')).toBe('198.51.100.10');
  },
);
