/**
 * Answers queries in a separate process and prints the octets that each kind left on the heap: `node --expose-gc
 * answer-allocation.ts`. Run by answer-allocation.test.ts.
 */
import { getHeapStatistics } from 'node:v8';
import { answer } from '../../../../server/answer/answer.ts';
import { createClientRing } from '../../../../server/answer/client-samples.ts';
import { createCookies, settleCookie } from '../../../../server/answer/cookies.ts';
import { packetOf, TRANSPORT } from '../../../../server/contract.ts';
import { createQuery } from '../../../../wire/query.ts';
import { createResponse } from '../../../../wire/response.ts';
import { encodeQuery, subnetOption, T } from '../../../support/message.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering } from '../../../support/pharos.ts';

const WARM = 50_000;
const QUERIES = 200_000;

const files = {
  'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
  'place.mmdb': writeMmdb([['1.0.0.0/8', { country: { iso_code: 'KR' } }]]),
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.1, AAAA: "2001:db8::1" }
  chain: { CNAME: chain2 }
  chain2: { CNAME: ns1 }
  old: { DNAME: new }
  x.new: { A: 192.0.2.2 }
  "*.wild": { TXT: text }
  sub: { NS: ns.sub }
  ns.sub: { A: 192.0.2.3 }
services:
  geo: { vips: { k: { region: seoul, A: 192.0.2.4 }, d: { region: dublin, A: 192.0.2.5 } }, ttl: { min: 5, max: 30 }, steer: [geo: { KR: seoul, default: dublin }, weighted] }
  other: { vips: { k: { region: seoul, TXT: [kr, same], MX: 10 ns1 }, d: { region: dublin, TXT: [same, ie], MX: 20 ns1 } }, answers: 2, steer: [sticky] }
  sticky: { vips: { k: { A: 192.0.2.4, weight: 3 }, d: { A: 192.0.2.5 } }, steer: [sticky], answers: 2 }
`,
};
const secrets = { cookieSecrets: [Buffer.alloc(16, 2), Buffer.alloc(16, 1)] };
const version = Buffer.from('of the operator');
const { state } = answering(files, { ...secrets, version, clients: [createClientRing()] });
const limited = answering(files, { ...secrets, rrl: { perSecond: 1000, slip: 2 } }).state;
const cookies = createCookies([Buffer.alloc(16, 1)]);

const edns = { edns: { options: [subnetOption(Uint8Array.of(1, 2, 3, 0), 24)] } };
const queries = {
  static: encodeQuery('ns1.example.com', T.A),
  nxdomain: encodeQuery('nothere.example.com', T.A, { edns: {} }),
  cname: encodeQuery('chain.example.com', T.A),
  dname: encodeQuery('x.old.example.com', T.A),
  wildcard: encodeQuery('a.b.wild.example.com', T.TXT),
  referral: encodeQuery('a.sub.example.com', T.A),
  steered: encodeQuery('geo.example.com', T.A, edns),
  sticky: encodeQuery('sticky.example.com', T.A, edns),
  otherType: encodeQuery('other.example.com', T.TXT, edns),
  refused: encodeQuery('www.example.org', T.A, { edns: {} }),
  malformed: encodeQuery('ns1.example.com', T.A).subarray(0, -1),
  clientCookie: encodeQuery('ns1.example.com', T.A, withCookie(Buffer.alloc(8))),
  version: encodeQuery('version.bind', T.TXT, { class: 3 }),
  refusedInChaos: encodeQuery('www.example.com', T.A, { class: 3 }),
  limited: encodeQuery('x.example.com', T.A),
  serverCookie: encodeQuery('ns1.example.com', T.A, withCookie(cookieOfTheSecond())),
};

function withCookie(data: Uint8Array) {
  return { edns: { options: [{ code: 10, data }] } };
}

/** Valid for the second secret, so that a new one is made too. */
function cookieOfTheSecond(): Uint8Array {
  const response = createResponse();
  const query = createQuery();
  query.cookieOctets = 8;
  settleCookie(cookies, query, response, Uint8Array.of(8, 8, 8, 8), 0, 4, state.clock.seconds());
  return response.cookie;
}

const tx = new Uint8Array(2048);
const peer = Uint8Array.of(8, 8, 8, 8);

function run(query: Uint8Array, count: number): void {
  const answerer = query === queries.limited ? limited : state;
  const heads = state.sampler?.ring.heads;
  const packet = packetOf(query, peer, TRANSPORT.UDP, tx);
  for (let i = 0; i < count; i++) {
    answer(answerer, packet);
    // The control thread's work without its allocations: all entries are taken.
    if (heads && (i & 0xffff) === 0) heads[1] = heads[0] ?? 0;
  }
}

for (const query of Object.values(queries)) run(query, WARM);
/** Octets ever allocated, if Node.js knows; otherwise those that the collector has left. */
const allocated = (): number => {
  const statistics: { total_allocated_bytes?: number; used_heap_size: number } = getHeapStatistics();
  return statistics.total_allocated_bytes ?? statistics.used_heap_size;
};
const octets = Object.entries(queries).map(([kind, query]): [string, number] => {
  run(query, WARM);
  globalThis.gc?.();
  const before = allocated();
  run(query, QUERIES);
  return [kind, (allocated() - before) / QUERIES];
});
console.log(JSON.stringify(Object.fromEntries(octets)));
