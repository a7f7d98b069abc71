/** The alarms of a fleet, on a clock of the test. */
import { expect, test } from 'vitest';
import { createAlarms, type AlarmCode } from '../../../config/alarms.ts';
import { VOTE } from '../../../fleet/count.ts';
import { createFleetAlarms, type FleetSituation, type SplitVerdict } from '../../../fleet/fleet-alarms.ts';
import type { PeerView } from '../../../fleet/member.ts';
import type { Clock } from '../../../health/clock.ts';

const peer = (more: Partial<PeerView> = {}): PeerView => ({
  node: 'b',
  region: 'dublin',
  version: '1',
  config: 'same',
  isFresh: true,
  heardMsAgo: 0,
  skewMs: 0,
  targets: 1,
  probed: 1,
  applied: 0,
  drains: [],
  ...more,
});

const WELL: FleetSituation = {
  peers: [peer()],
  failure: undefined,
  refused: [],
  ordersProblem: undefined,
  missingOrders: undefined,
  config: 'same',
  splits: [],
  hasTwin: false,
};

const SPLIT: SplitVerdict = {
  key: '192.0.2.1 web',
  targets: ['www.example.com/first'],
  verdict: VOTE.UP,
  count: {
    regions: [
      { region: 'dublin', up: 0, down: 1, stand: VOTE.DOWN },
      { region: 'seoul', up: 1, down: 0, stand: VOTE.UP },
      { region: 'virginia', up: 1, down: 0, stand: VOTE.UP },
    ],
    needed: 2,
    stand: VOTE.UP,
  },
  voters: [
    { node: 'a', region: 'seoul', vote: VOTE.UP, reason: '', ageMs: 0, isFresh: true, isProber: true },
    {
      node: 'b',
      region: 'dublin',
      vote: VOTE.DOWN,
      reason: 'connection refused',
      ageMs: 0,
      isFresh: true,
      isProber: true,
    },
  ],
};

const ROWS: readonly {
  readonly code: AlarmCode;
  readonly bad: Partial<FleetSituation>;
  /** How long the condition holds before the alarm. */
  readonly afterMs: number;
  readonly message: string;
  readonly subject?: string;
}[] = [
  {
    code: 'alone',
    bad: { peers: [peer({ isFresh: false })] },
    afterMs: 5000,
    message:
      'This node decides alone: no other node of the fleet prod was heard. It keeps the last orders and answers queries.',
  },
  {
    code: 'alone',
    bad: { peers: [], failure: 'Authorization Violation' },
    afterMs: 5000,
    message:
      'This node decides alone: NATS cannot be reached at nats://n1:4222 (Authorization Violation). It keeps the last orders and answers queries.',
  },
  {
    code: 'nats_refused',
    bad: { refused: ['publish to "pharos.prod.vote.a"', 'subscribe to "pharos.prod.vote.>"'] },
    afterMs: 0,
    message:
      'NATS does not permit this node to publish to "pharos.prod.vote.a", subscribe to "pharos.prod.vote.>". Extend the permissions of its login.',
  },
  {
    code: 'orders_stopped',
    bad: { ordersProblem: 'no responders' },
    afterMs: 15_000,
    message: 'Orders of the fleet do not reach this node: no responders. It keeps the last orders. Check JetStream.',
  },
  {
    code: 'orders_stopped',
    bad: { missingOrders: 7 },
    afterMs: 15_000,
    message:
      'Orders of the fleet do not reach this node: a peer has revision 7, which does not arrive. It keeps the last orders. Check JetStream.',
  },
  {
    code: 'node_name_twice',
    bad: { hasTwin: true },
    afterMs: 15_000,
    message:
      'Another server of the fleet prod has the name of this node, a, so their votes are mixed up. Give each server its own fleet.node.',
  },
  {
    code: 'split_verdict',
    bad: { splits: [SPLIT] },
    afterMs: 30_000,
    subject: 'www.example.com/first',
    message:
      'Regions disagree on www.example.com/first: down from dublin (b: connection refused), up from seoul, virginia. DNS answers take it as up.',
  },
  {
    code: 'configuration_drift',
    bad: { peers: [peer({ config: 'other' })] },
    afterMs: 120_000,
    message: 'The configuration of b differs from that of this node. Deploy the same files to all nodes and reload.',
  },
  {
    code: 'clock_skew',
    bad: { peers: [peer({ skewMs: 3_600_000 })] },
    afterMs: 0,
    subject: 'b',
    message: 'The clock of b is 3600.0 s ahead of the clock of this node. Check NTP on both.',
  },
];

function alarmsOn(): {
  readonly pass: (ms: number, bad: Partial<FleetSituation>) => void;
  readonly raised: () => readonly { code: string; subject: string | null; message: string }[];
  readonly events: string[];
} {
  let nowMs = 0;
  const clock: Clock = { now: () => nowMs, wall: () => nowMs, after: () => () => undefined };
  const alarms = createAlarms(() => nowMs);
  const events: string[] = [];
  alarms.watch(({ alarm, to }) => events.push(`${alarm.code} ${to}`));
  const fleet = createFleetAlarms({
    alarms,
    clock,
    settings: { name: 'prod', servers: ['nats://n1:4222'], node: 'a' },
  });
  return {
    /** Heartbeats with this situation. */
    pass: (ms, bad) => {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 1000) fleet.update({ ...WELL, ...bad });
    },
    raised: () => alarms.list().map(({ code, subject, message }) => ({ code, subject, message })),
    events,
  };
}

test.each(ROWS)('$code is raised after $afterMs ms, and over at the next heartbeat: $message', (row) => {
  const { pass, raised, events } = alarmsOn();
  pass(3000, {});
  pass(row.afterMs, row.bad);
  expect(raised()).toEqual([]);
  pass(1000, row.bad);
  expect(raised()).toEqual([{ code: row.code, subject: row.subject ?? null, message: row.message }]);
  pass(600_000, row.bad);
  expect(raised()).toHaveLength(1);
  pass(1000, {});
  expect(raised()).toEqual([]);
  expect(events).toEqual([`${row.code} raised`, `${row.code} over`]);
});

test.each(ROWS.filter(({ afterMs }) => afterMs > 0))('$code starts again after a good heartbeat', (row) => {
  const { pass, raised } = alarmsOn();
  pass(row.afterMs, row.bad);
  pass(1000, {});
  pass(row.afterMs, row.bad);
  expect(raised()).toEqual([]);
});

test('a clock within a second is not wrong, and one that is behind is', () => {
  const { pass, raised } = alarmsOn();
  pass(5000, { peers: [peer({ skewMs: 1000 }), peer({ node: 'c', skewMs: -1001 })] });
  expect(raised().map(({ subject, message }) => [subject, message])).toEqual([
    ['c', 'The clock of c is 1.0 s behind the clock of this node. Check NTP on both.'],
  ]);
});

test('nodes that are not heard raise neither drift nor skew', () => {
  const { pass, raised } = alarmsOn();
  pass(200_000, { peers: [peer(), peer({ node: 'c', isFresh: false, config: 'other', skewMs: 5000 })] });
  expect(raised()).toEqual([]);
});
