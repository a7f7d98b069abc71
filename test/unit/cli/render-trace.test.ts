import { describe, expect, it } from 'vitest';
import { renderTrace } from '../../../cli/render-trace.ts';
import { traceDocument } from '../../../status/trace-document.ts';
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
