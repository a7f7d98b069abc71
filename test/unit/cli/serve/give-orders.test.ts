/** When a drain of a fleet is safe, by what its nodes have said. */
import { describe, expect, test } from 'vitest';
import type { Current } from '../../../../cli/serve/generation.ts';
import { createOrderGiver } from '../../../../cli/serve/give-orders.ts';
import type { PeerView } from '../../../../fleet/member.ts';
import { orderKey, type OrderEntry } from '../../../../fleet/order-book.ts';
import type { Fleet, OrderTaker } from '../../../../fleet/start-fleet.ts';
import type { Health } from '../../../../health/engine.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const TARGET = 'www.example.com/a';
const KEY = orderKey('state', TARGET);
const after = (ms: number): string => new Date(NOW + ms).toISOString();

type Own = { readonly target: string; readonly safeAt?: string };

/** A node whose own answers end with `own`, and what its peers have said of revision 7. */
function giverWith(options: {
  readonly own?: readonly Own[];
  readonly peers?: readonly Partial<PeerView>[];
  readonly known?: readonly string[];
  readonly order?: object;
  readonly vips?: readonly string[];
}) {
  const { own = [{ target: TARGET, safeAt: after(5000) }], peers = [], known = ['b', 'c'], vips = [TARGET] } = options;
  const order = { target: TARGET, state: 'drain', ...options.order };
  const entry: OrderEntry = { key: KEY, revision: 7, order, at: after(0), node: 'a' };
  let taker: OrderTaker | undefined;
  const fleet = {
    obey: (by: OrderTaker) => {
      taker = by;
    },
    orders: () => [entry],
    orderOf: (key: string) => (key === KEY ? entry : undefined),
    peers: () => peers.map((peer) => ({ isFresh: true, heardMsAgo: 0, ...peer })),
    known: () => known,
  } as unknown as Fleet;
  const giver = createOrderGiver({
    fleet,
    health: () => ({ overrides: () => own }) as unknown as Health,
    current: () =>
      ({ catalog: { regions: [], vips: vips.map((target) => ({ target, region: -1 })) } }) as unknown as Current,
    wallMs: () => NOW,
    warn: () => undefined,
  });
  return { giver, says: () => taker?.drains() };
}

const said = (node: string, leftMs: number | null, more: Partial<PeerView> = {}): Partial<PeerView> => ({
  node,
  drains: [[KEY, 7, leftMs]],
  ...more,
});

describe('a drain is safe', () => {
  test.each<{
    when: string;
    options: Parameters<typeof giverWith>[0];
    safeAt: string | undefined;
    waitingFor: string[];
  }>([
    {
      when: 'at the latest of all nodes',
      options: { peers: [said('b', 9000), said('c', 2000)] },
      safeAt: after(9000),
      waitingFor: [],
    },
    {
      when: 'at the end of this node, if that is the latest',
      options: { peers: [said('b', 0), said('c', 2000)] },
      safeAt: after(5000),
      waitingFor: [],
    },
    {
      when: 'never while a node has said nothing',
      options: { peers: [said('b', 0)] },
      safeAt: undefined,
      waitingFor: ['c'],
    },
    {
      when: 'never while a node has an older revision',
      options: { peers: [said('b', 0), { node: 'c', drains: [[KEY, 6, 0]] }] },
      safeAt: undefined,
      waitingFor: ['c'],
    },
    {
      when: 'never while answers of a node name the target',
      options: { peers: [said('b', 0), said('c', null)] },
      safeAt: undefined,
      waitingFor: [],
    },
    {
      when: 'by what a node said before it was lost, counted from then',
      options: { peers: [said('b', 0), said('c', 9000, { isFresh: false, heardMsAgo: 3000 })] },
      safeAt: after(6000),
      waitingFor: [],
    },
    {
      when: 'never after a node was lost that still named the target',
      options: { peers: [said('b', 0), said('c', null, { isFresh: false, heardMsAgo: 9000 })] },
      safeAt: undefined,
      waitingFor: ['c'],
    },
    {
      when: 'never while an order to this node alone overrules it',
      options: { own: [], peers: [said('b', 0), said('c', 0)] },
      safeAt: undefined,
      waitingFor: [],
    },
    {
      when: 'at once on a node that has no such VIP',
      options: { own: [], vips: ['other.example.com/a'], peers: [said('b', 0), said('c', 1000)] },
      safeAt: after(1000),
      waitingFor: [],
    },
  ])('$when', ({ options, safeAt, waitingFor }) => {
    const { giver } = giverWith(options);
    expect(giver.drainOf(TARGET)).toEqual({ target: TARGET, revision: 7, safeAt, waitingFor });
  });

  test('a drain that has ended is none', () => {
    const { giver, says } = giverWith({ order: { until: after(0) } });
    expect([giver.drainOf(TARGET), giver.drains(), says()]).toEqual([undefined, [], []]);
  });

  test('this node says for how long its answers may name the target; null while they do', () => {
    expect(giverWith({}).says()).toEqual([[KEY, 7, 5000]]);
    expect(giverWith({ own: [] }).says()).toEqual([[KEY, 7, null]]);
    expect(giverWith({ own: [{ target: TARGET }] }).says()).toEqual([[KEY, 7, null]]);
  });
});
