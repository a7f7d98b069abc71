/**
 * `${+1,0,d}`, which BIND accepts, and mistakes such as `${x}` or `${1,2` were copied into names unchanged: the zone
 * loaded, with names like `h1{x}`.
 */
import { expect, test } from 'vitest';
import { readZoneText, recordsOf } from '../../unit/zones/read-helper.ts';

const HEAD = 'zone: example.com\nnameservers: [ns1.example.net.]\ninclude: [bulk.db]\n';

function generated(text: string): { readonly records: readonly string[]; readonly mistakes: readonly string[] } {
  const { zone, diagnostics } = readZoneText(HEAD, { 'bulk.db': `$GENERATE 1-2 ${text}\n` });
  const mistakes = diagnostics.map(({ code, place }) => `${code} ${place.line}:${place.column}`);
  return { records: recordsOf(zone).filter((record) => record.startsWith('h')), mistakes };
}

test('an offset may have a sign', () => {
  expect(generated('h${+1,0,d} A 192.0.2.${-1}')).toEqual({
    records: ['h2.example.com 300 A 192.0.2.0', 'h3.example.com 300 A 192.0.2.1'],
    mistakes: [],
  });
});

test.each(['h${x} A 192.0.2.$', 'h${1,2 A 192.0.2.$', 'h${} A 192.0.2.$', 'h${0,3,q} A 192.0.2.$'])('%s', (text) => {
  expect(generated(text)).toEqual({ records: [], mistakes: ['PH314 1:16'] });
});

test('a brace elsewhere is an ordinary character', () => {
  expect(generated('h$$$\\{x} A 192.0.2.$').records).toHaveLength(2);
});
