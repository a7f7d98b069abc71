import { describe, expect, it } from 'vitest';
import { renderTrace } from '../../../cli/render-trace.ts';
import type { VotesDocument } from '../../../status/fleet-document.ts';
import { traceDocument, type TraceDocument } from '../../../status/trace-document.ts';
import type { Trace } from '../../../steering/trace.ts';
import { allDown, missing, steered } from './traces.ts';

const plain = (trace: Trace): string => renderTrace(traceDocument(trace), (_style, text) => text);

describe('a trace as text', () => {
  it('reads from the answer to its reasons', () => {
    expect(plain(steered)).toBe(`www.example.com A = 203.0.113.10 (seoul-a)

Client
  203.0.113.0/24 (client subnet)
  KR, asia, AS64500, 37.57,126.98
  located by city.mmdb

www.example.com: its VIPs (=> is served)
      VIP         REGION    DATA           WEIGHT  STATE              WHY
  =>  seoul-a     seoul     203.0.113.10   4       up                 up
      virginia-a  virginia  198.51.100.10  1       drain (probed up)  drained by an operator

Steering
      STEP      KEPT     WHY
  1.  geo       seoul-a  KR -> seoul
  2.  weighted  seoul-a  the only one

Answer: NOERROR
  www.example.com  20  A  203.0.113.10
TTL    20 s: fixed by the service
Scope  /24: the whole /24 is KR`);
  });

  it.each<[title: string, trace: Trace, shown: string]>([
    ['says what when_all_down did', allDown, 'serve_all: steered as if everything were up'],
    [
      'shows locations to a kilometre',
      { ...steered, client: { ...steered.client, latitude: 35.907757 } },
      'AS64500, 35.91,126.98',
    ],
    ['says if the name does not exist', missing, 'nothing.example.com A = NXDOMAIN'],
    [
      'says that static data is the same for all clients',
      missing,
      'No service has this name: zone example.com has the same answer',
    ],
    ['says if a client has no address', missing, 'no address, only a location'],
    ['says if a client cannot be located', missing, 'location unknown'],
    ['says if a type has no data', { ...missing, answer: { ...missing.answer, rcode: 'NOERROR' } }, 'A = no data'],
    ['says if no VIP has the type', { ...steered, candidates: [] }, 'no VIP has an A'],
    ['says if a step left nothing', { ...steered, steps: [{ step: 'geo', kept: [], why: 'fence' }] }, 'nothing  fence'],
  ])('%s', (_title, trace, shown) => {
    expect(plain(trace)).toContain(shown);
  });

  it('aligns columns with colours too', () => {
    const coloured = renderTrace(traceDocument(steered), (_style, text) => `\u001b[31m${text}\u001b[39m`);
    // eslint-disable-next-line no-control-regex -- colours begin with the escape character
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain(steered));
  });
});

describe('votes of a fleet', () => {
  const votes: VotesDocument = {
    ...{ verdict: 'down', quorum: 'majority', needed: 2, view: 'fleet', probers: null, from: null },
    regions: [
      { region: 'dublin', up: 0, down: 1, says: 'down' },
      { region: 'seoul', up: 1, down: 1, says: 'unknown' },
      { region: 'virginia', up: 0, down: 1, says: 'down' },
    ],
    voters: [
      { node: 'icn1', region: 'seoul', vote: 'up', reason: 'HTTP 200', age_ms: 0, fresh: true, probes: true },
      { node: 'icn2', region: 'seoul', vote: 'down', reason: 'timeout', age_ms: 1234, fresh: true, probes: true },
      { node: 'dub1', region: 'dublin', vote: 'down', reason: null, age_ms: 400, fresh: true, probes: true },
      {
        node: 'dub2',
        region: 'dublin',
        vote: 'abstain',
        reason: 'its event loop is late',
        age_ms: 500,
        fresh: true,
        probes: true,
      },
      { node: 'iad1', region: 'virginia', vote: 'down', reason: 'HTTP 503', age_ms: 0, fresh: true, probes: true },
      { node: 'iad2', region: 'virginia', vote: 'unknown', reason: null, age_ms: 900, fresh: true, probes: false },
      { node: 'iad3', region: 'virginia', vote: 'unknown', reason: null, age_ms: 9000, fresh: false, probes: false },
      { node: 'syd1', region: 'sydney', vote: 'unknown', reason: null, age_ms: 100, fresh: true, probes: true },
    ],
  };

  it('are shown by region, with age and reason', () => {
    const document = traceDocument(steered, (target) => (target.endsWith('seoul-a') ? votes : undefined));
    expect(renderTrace(document, (_style, text) => text)).toContain(`www.example.com: votes of the fleet
  VIP      VERDICT  QUORUM            REGION    SAYS  NODES
  seoul-a  down     majority: 2 of 3  dublin    down  dub1 down (0.4 s ago); dub2 abstains: its event loop is late (0.5 s ago)
                                      seoul     tied  icn1 up: HTTP 200 (this node); icn2 down: timeout (1.2 s ago)
                                      sydney    -     syd1 has no result yet
                                      virginia  down  iad1 down: HTTP 503 (0.0 s ago); iad2 does not probe it; iad3 was last heard 9.0 s ago

Steering`);
  });

  it('are absent without a fleet, and from servers of earlier versions', () => {
    expect(plain(steered)).not.toContain('votes');
    const text = JSON.stringify(traceDocument(steered), (key, value: unknown) => (key === 'votes' ? undefined : value));
    const document = JSON.parse(text) as TraceDocument;
    expect(renderTrace(document, (_style, text) => text)).not.toContain('votes');
  });
});
