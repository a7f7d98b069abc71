/** What the status server says of a fleet: the document, explain, the page, the text and the metrics. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countVotes, VOTE, type Vote } from '../../../fleet/count.ts';
import type { PeerView, VoterView } from '../../../fleet/member.ts';
import type { Fleet } from '../../../fleet/start-fleet.ts';
import { dissentWords, type TargetVotes } from '../../../fleet/verdict-words.ts';
import { createOctetsPool } from '../../../status/assemble-reply.ts';
import type { FleetDocument } from '../../../status/fleet-document.ts';
import { createApp } from '../../../status/http.ts';
import { createMetrics } from '../../../status/metrics.ts';
import type { Runtime } from '../../../status/runtime.ts';
import type { StatusDocument } from '../../../status/status-document.ts';
import type { TraceDocument } from '../../../status/trace-document.ts';
import { nameKey, parseName } from '../../../wire/name.ts';
import { createFakeLog, createFakeRuntime, NO_CLIENTS, type FakeRuntime } from './fake-runtime.ts';

const TARGET = 'www.example.com/seoul-a';

const peer = (node: string, region: string, more: Partial<PeerView> = {}): PeerView => ({
  ...{ node, region, version: '1.2.3', config: 'same', isFresh: true, heardMsAgo: 400, skewMs: 12.6 },
  ...{ targets: 3, probed: 2, applied: 7, drains: [] },
  ...more,
});
const voter = (node: string, region: string, vote: Vote, reason: string): VoterView => ({
  ...{ node, region, vote, reason, ageMs: node === 'icn1' ? 0 : 400, isFresh: true, isProber: true },
});

/** By node, and by `nameKey`. */
const SERVED: Readonly<Record<string, ReadonlyMap<string, { content: string; serial: number }> | undefined>> = {
  icn1: serving({ 'example.com.': 10, 'example.net.': 20 }),
  dub1: serving({ 'example.com.': 10, 'example.net.': 21 }),
};
function serving(zones: Readonly<Record<string, number>>): ReadonlyMap<string, { content: string; serial: number }> {
  return new Map(Object.entries(zones).map(([zone, serial]) => [nameKey(parseName(zone)), { content: 'c', serial }]));
}

type Seen = { readonly peers: readonly PeerView[]; readonly isConnected?: boolean };

/** A fleet as seen by icn1, by hand: a real one needs NATS. `test/integration/fleet.test.ts` has one. */
function fleetOf({ peers, isConnected = true }: Seen): Fleet {
  const voters = [
    voter('icn1', 'seoul', VOTE.UP, 'connected'),
    voter('dub1', 'dublin', VOTE.DOWN, 'timeout'),
    { ...voter('iad1', 'virginia', VOTE.DOWN, ''), isFresh: peers.some(({ isFresh }) => isFresh) },
  ];
  const rule: TargetVotes['rule'] = {
    ...{ quorum: { kind: 'share', share: 0.18 }, probers: 2, from: new Set(['dublin', 'seoul']), view: 'fleet' },
  };
  const votes: TargetVotes = { rule, verdict: VOTE.DOWN, count: countVotes(voters, rule.quorum), voters };
  const fleet: Partial<Fleet> = {
    ...{ name: 'prod', node: 'icn1', region: 'seoul' },
    isConnected: () => isConnected,
    peers: () => peers,
    known: () => ['dub1', 'iad1', 'gone1'],
    votes: (target) => (target === TARGET ? votes : undefined),
    dissent: (target) => (target === TARGET ? dissentWords(votes) : undefined),
    serials: {
      known: () => new Map(),
      listen: () => undefined,
      serve: () => undefined,
      servedBy: (node) => SERVED[node],
    },
    ...{ config: () => 'same', size: () => 3, probed: () => 1, applied: () => 7 },
  };
  return fleet as Fleet;
}

const TWO: Seen = { peers: [peer('dub1', 'dublin'), peer('iad1', 'virginia', { config: 'other', isFresh: false })] };
const NONE: Seen = { peers: [peer('dub1', 'dublin', { isFresh: false })], isConnected: false };

let fake: FakeRuntime;
beforeEach(async () => {
  fake = await createFakeRuntime();
});
afterEach(() => fake.stop());

/** The same runtime as part of a fleet. Its members are read when they are used, as those of a server. */
function runtimeIn(seen: Seen): Runtime {
  return Object.assign(Object.create(fake.runtime) as Runtime, { fleet: fleetOf(seen) });
}

async function get(seen: Seen, url: string, accept = '*/*'): Promise<string> {
  const { app } = createApp(runtimeIn(seen), { token: undefined, log: createFakeLog().log });
  const { body } = await app.inject({ url, headers: { accept } });
  await app.close();
  return body;
}

describe('GET /api/v1/fleet', () => {
  test('has the nodes, what they probe, and those that were never heard', async () => {
    const document = JSON.parse(await get(TWO, '/api/v1/fleet')) as FleetDocument;
    expect(document).toMatchObject({ enabled: true, name: 'prod', node: 'icn1', region: 'seoul', alone: false });
    expect(
      document.nodes.map(({ node, state, targets, probed, config }) => [node, state, targets, probed, config]),
    ).toEqual([
      ['icn1', 'self', 3, 1, 'same'],
      ['dub1', 'fresh', 3, 2, 'same'],
      ['iad1', 'lost', 3, 2, 'other'],
      ['gone1', 'lost', null, null, null],
    ]);
  });

  test('has the serials, first those that differ from this node', async () => {
    const { nodes } = JSON.parse(await get(TWO, '/api/v1/fleet')) as FleetDocument;
    expect(nodes.map(({ node, zones, serials_differ: differ, serials }) => [node, zones, differ, serials])).toEqual([
      ['icn1', 2, 0, { 'example.com': 10, 'example.net': 20 }],
      ['dub1', 2, 1, { 'example.net': 21, 'example.com': 10 }],
      ['iad1', null, null, null],
      ['gone1', null, null, null],
    ]);
    expect(Object.keys(nodes[1]?.serials ?? {})).toEqual(['example.net', 'example.com']);
  });

  test('has the rule and the votes of each checked target', async () => {
    const { targets } = JSON.parse(await get(TWO, '/api/v1/fleet')) as FleetDocument;
    expect(targets).toEqual([
      {
        ...{
          target: TARGET,
          verdict: 'down',
          quorum: '18%',
          needed: 1,
          view: 'fleet',
          probers: 2,
          from: ['dublin', 'seoul'],
        },
        regions: [
          { region: 'dublin', up: 0, down: 1, says: 'down' },
          { region: 'seoul', up: 1, down: 0, says: 'up' },
          { region: 'virginia', up: 0, down: 1, says: 'down' },
        ],
        voters: [
          { node: 'icn1', region: 'seoul', vote: 'up', reason: 'connected', age_ms: 0, fresh: true, probes: true },
          { node: 'dub1', region: 'dublin', vote: 'down', reason: 'timeout', age_ms: 400, fresh: true, probes: true },
          { node: 'iad1', region: 'virginia', vote: 'down', reason: null, age_ms: 400, fresh: true, probes: true },
        ],
      },
    ]);
  });
});

test('explain has the votes of a candidate, and null for one that is not checked', async () => {
  const { candidates } = JSON.parse(await get(TWO, '/api/v1/explain?name=www.example.com&country=KR')) as TraceDocument;
  expect(candidates.map(({ vip, votes }) => [vip, votes?.verdict])).toEqual([
    ['seoul-a', 'down'],
    ['virginia-a', undefined],
  ]);
});

test('a VIP says why the verdict is not what this node sees', async () => {
  const vips = JSON.parse(await get(TWO, '/api/v1/health')) as StatusDocument['vips'];
  expect(vips.map(({ vip, dissent }) => [vip, dissent])).toEqual([
    ['seoul-a', '2 of 3 regions say down (dub1: timeout); this node: up (connected)'],
    ['seoul-b', null],
    ['virginia-a', null],
    ['only', null],
  ]);
});

test('the status has the fleet, and null without one', async () => {
  const { fleet } = JSON.parse(await get(TWO, '/api/v1/status')) as StatusDocument;
  expect(fleet).toEqual({
    name: 'prod',
    node: 'icn1',
    region: 'seoul',
    connected: true,
    alone: false,
    nodes: 4,
    fresh: 2,
  });
  const { app } = createApp(fake.runtime, { token: undefined, log: createFakeLog().log });
  expect((await app.inject('/api/v1/status')).json<StatusDocument>().fleet).toBeNull();
  await app.close();
});

describe('the page', () => {
  test('has a row for each node', async () => {
    const body = await get(TWO, '/', 'text/html');
    expect(body).toContain('Fleet prod <span class="odd">2 of 4 nodes heard</span>');
    const rows = [...body.matchAll(/<tr><td>(icn1|dub1|iad1|gone1)<.*<\/tr>/g)].map(([row]) =>
      row.replace(/<[^>]+>/g, ' '),
    );
    expect(rows.map((row) => row.trim().replace(/ +/g, ' '))).toEqual([
      'icn1 seoul this node - 1 1.2.3 the same',
      'dub1 dublin fresh 1 s 2 1.2.3 the same',
      'iad1 virginia lost 1 s 2 1.2.3 differs',
      'gone1 - lost never - - -',
    ]);
  });

  test('says alone', async () => {
    expect(await get(NONE, '/', 'text/html')).toContain('<span class="bad">alone: NATS cannot be reached</span>');
    expect(await get({ ...NONE, isConnected: true }, '/')).toContain(
      'fleet prod, node icn1 (seoul): alone: no other node is heard',
    );
  });

  test('has no fleet without one', async () => {
    const { app } = createApp(fake.runtime, { token: undefined, log: createFakeLog().log });
    expect((await app.inject({ url: '/', headers: { accept: 'text/html' } })).body).not.toContain('Fleet');
    await app.close();
  });
});

test('metrics say who is heard, what is probed, and which orders are applied', async () => {
  const lines = async (seen: Seen): Promise<readonly string[]> => {
    const octets = createOctetsPool().take();
    await createMetrics(runtimeIn(seen), NO_CLIENTS).write(octets);
    return octets
      .all()
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('pharos_fleet_'));
  };
  expect(await lines(TWO)).toEqual([
    'pharos_fleet_peers{state="fresh"} 1',
    'pharos_fleet_peers{state="lost"} 2',
    'pharos_fleet_connected 1',
    'pharos_fleet_alone 0',
    'pharos_fleet_probed_checks 1',
    'pharos_fleet_orders_revision 7',
    'pharos_fleet_drains_waiting 0',
  ]);
  expect((await lines(NONE)).slice(2, 4)).toEqual(['pharos_fleet_connected 0', 'pharos_fleet_alone 1']);
});
