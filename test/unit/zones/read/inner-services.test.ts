/**
 * What is wrong with VIPs that are services (docs/diagnostics.md#services-and-steps).
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../../support/pharos.ts';
import { LONG_TESTS } from '../../../support/random.ts';

const HEAD = `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: {}, dublin: {} }
checks: { web: { type: push } }
services:
`;

test.each<[string, string[]]>([
  ['www: { vips: { k: { service: kx } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH250']],
  ['www: { vips: { k: { service: www } } }', ['PH251']],
  ['a: { vips: { k: { service: b } } }\n  b: { vips: { k: { service: c } } }\n  c: { vips: { k: { service: a } } }', ['PH251']], // prettier-ignore
  ['www: { vips: { k: { service: kr, A: 192.0.2.1 } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH253']],
  ['www: { vips: { k: { service: kr, TXT: x } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH253']],
  ['www: { vips: { k: { service: kr, check: web } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH253']],
  ['www: { vips: { k: { service: kr, probe: ":80" } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH253']],
  ['www: { check: web, vips: { k: { service: kr } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH254']],
  ['www: { vips: { k: { service: kr }, x: { CNAME: host.example.net. } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH203']], // prettier-ignore
  ['www: { svcb: { port: 8443 }, vips: { k: { service: kr }, x: { A: 192.0.2.2 } } }\n  kr: { vips: { a: { A: 192.0.2.1 } } }', ['PH239']], // prettier-ignore
  ['www: { svcb: { port: 8443 }, vips: { k: { service: kr } } }\n  kr: { svcb: { port: 443 }, vips: { a: { A: 192.0.2.1 } } }', ['PH239']], // prettier-ignore
])('%s', (services, codes) => {
  const found = mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': `${HEAD}  ${services}\n` });
  expect(found.map((text) => /PH\d+/.exec(text)?.[0])).toEqual(codes);
});

test.runIf(LONG_TESTS)('at most 8 services are on the way, and at most 1,024 VIPs on all ways', () => {
  const chain = (length: number): string =>
    Array.from({ length }, (_, n) => `  s${n}: { vips: { x: { ${n + 1 < length ? `service: s${n + 1}` : 'A: 192.0.2.1'} } } }\n`).join(''); // prettier-ignore
  const found = (services: string): string[] => mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': HEAD + services }).map((text) => /PH\d+/.exec(text)?.[0] ?? text); // prettier-ignore
  expect(found(chain(9))).toEqual([]);
  expect(found(chain(10))).toEqual(['PH252']);
  // In the other order, each service is read before those that lead to it.
  expect(found(chain(10).trimEnd().split('\n').toReversed().join('\n'))).toEqual(['PH252']);
  expect(found(chain(3000))).toContain('PH252');
  const bush = (width: number): string =>
    ['a', 'b', 'c'].map((name, n) => `  ${name}: { vips: { ${Array.from({ length: n === 2 ? 1 : width }, (_, v) => `v${v}: { ${n < 2 ? `service: ${'bc'[n] ?? ''}` : 'A: 192.0.2.1'} }`).join(', ')} } }\n`).join(''); // prettier-ignore
  expect(found(bush(20))).toEqual([]);
  expect(found(bush(32))).toEqual(['PH252']);
});
