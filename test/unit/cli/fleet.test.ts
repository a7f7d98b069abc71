/** `pharos fleet` as text. */
import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { runFleet } from '../../../cli/fleet.ts';
import type { FleetDocument, FleetNodeDocument, FleetTargetDocument } from '../../../status/fleet-document.ts';
import { captureOutput } from './captured-output.ts';

const node = (name: string, region: string, more: Partial<FleetNodeDocument> = {}): FleetNodeDocument => ({
  ...{ node: name, region, version: '1.2.3', state: 'fresh', config: 'aaaaaaaabbbb', last_heard_ms: 412 },
  ...{ clock_difference_ms: 3, targets: 40, probed: 12, applied_revision: 7 },
  ...{ zones: 1, serials_differ: 0, serials: { 'example.com': 2026 } },
  ...more,
});
const voter = (name: string, more: Partial<FleetTargetDocument['voters'][number]> = {}) => ({
  ...({ node: name, region: 'seoul', vote: 'up', reason: 'HTTP 200', age_ms: 0, fresh: true, probes: true } as const),
  ...more,
});
const target = (name: string, more: Partial<FleetTargetDocument> = {}): FleetTargetDocument => ({
  ...{ target: `www.example.com/${name}`, verdict: 'up', quorum: 'majority', needed: 2, view: 'fleet' },
  ...{ probers: null, from: null, voters: [voter('icn1')] },
  regions: [{ region: 'seoul', up: 1, down: 0, says: 'up' }],
  ...more,
});
const FLEET: FleetDocument = {
  ...{ enabled: true, name: 'prod', node: 'icn1', region: 'seoul', connected: true, alone: false, drains: [] },
  nodes: [
    node('icn1', 'seoul', { state: 'self' }),
    node('dub1', 'dublin', { config: 'cccccccc', serials_differ: 1, serials: { 'example.com': 2027 } }),
    node('iad1', 'virginia', { state: 'lost', last_heard_ms: 9000, probed: null }),
    node('gone1', 'x', {
      ...{ region: null, version: null, state: 'lost', config: null, last_heard_ms: null, clock_difference_ms: null },
      ...{ targets: null, probed: null, applied_revision: null, zones: null, serials_differ: null, serials: null },
    }),
  ],
  targets: [
    target('a'),
    target('b', {
      voters: [
        voter('icn1', { vote: 'unknown', reason: null, probes: false }),
        voter('dub1', { region: 'dublin', vote: 'down', reason: 'timeout' }),
        voter('fra1', { region: 'dublin', vote: 'abstain', reason: 'its event loop is late' }),
        voter('iad1', { region: 'virginia', vote: 'unknown', reason: null, fresh: false, probes: false }),
      ],
      regions: [
        { region: 'dublin', up: 0, down: 1, says: 'down' },
        { region: 'seoul', up: 1, down: 1, says: 'unknown' },
      ],
    }),
  ],
};

let server: Server | undefined;
afterEach(() => server?.close());

async function shown(document: FleetDocument, all = false): Promise<{ code: number; out: string }> {
  server = createServer((_, response) => response.end(JSON.stringify(document)));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const { output, out } = captureOutput();
  const where = { api: `http://127.0.0.1:${String(port)}`, token: undefined, config: undefined, cwd: '/', env: {} };
  const code = await runFleet({ ...where, json: false, all }, output);
  return { code, out: out() };
}

test('shows the nodes, and the targets on which they disagree', async () => {
  expect(await shown(FLEET)).toEqual({
    code: 0,
    out: `Fleet prod, seen by icn1 (seoul): 2 of 4 nodes heard

NODE   REGION    STATE  HEARD      CLOCK  VERSION  CONFIGURATION       SERIALS         PROBES    ORDERS
icn1   seoul     self   -          -      1.2.3    aaaaaaaa            2026            12 of 40  7
dub1   dublin    fresh  0.4 s ago  +3 ms  1.2.3    cccccccc (differs)  2027 (differs)  12 of 40  7
iad1   virginia  lost   9.0 s ago  +3 ms  1.2.3    aaaaaaaa            2026            ? of 40   7
gone1  -         lost   never      -      -        -                   -               -         -

TARGET             VERDICT  REGIONS                  VOTERS
www.example.com/b  up       dublin down, seoul tied  icn1 not probing, dub1 down (timeout), fra1 abstain (its event loop is late), iad1 lost

All voters agree on 1 other target (--all shows them).`,
  });
});

test('shows all targets with --all, and that nothing else is left when all agree', async () => {
  expect((await shown(FLEET, true)).out).toMatch(
    /www\.example\.com\/a +up +seoul up +icn1 up\n[^]*www\.example\.com\/b/,
  );
  expect((await shown({ ...FLEET, targets: [target('a')] })).out).toMatch(/\n\nAll voters agree on 1 target \(/);
});

test('counts zones where there are several', async () => {
  const nodes = [
    node('icn1', 'seoul', { state: 'self', zones: 3 }),
    node('dub1', 'dublin', { zones: 3 }),
    node('iad1', 'virginia', { zones: 3, serials_differ: 2 }),
  ];
  const { out } = await shown({ ...FLEET, nodes, targets: [] });
  expect(out).toMatch(/icn1 .* 3 zones +12 of 40/);
  expect(out).toMatch(/dub1 .* 3 zones, the same +12 of 40/);
  expect(out).toMatch(/iad1 .* 2 of 3 differ +12 of 40/);
});

test.each([
  [true, 'alone: no other node is heard'],
  [false, 'alone: NATS cannot be reached'],
])('says alone, with NATS %s', async (connected, words) => {
  expect((await shown({ ...FLEET, alone: true, connected })).out).toContain(`seen by icn1 (seoul): ${words}\n`);
});

test('fails where there is no fleet', async () => {
  const { code, out } = await shown({ ...FLEET, enabled: false });
  expect(code).toBe(1);
  expect(out).toContain('is not part of a fleet');
});
