/**
 * TXT `DOMAIN\user` was served as `DOMAINuser`, although the documentation said "as it stands", and nothing reported
 * it.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

function warnings(records: string): string[] {
  const zone = `zone: example.com\nnameservers: [ns.example.net.]\nrecords:\n  ${records}\n`;
  return mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }).map((line) =>
    line.replace(/^.*:4 (\S+ \S+): .*/, '$1'),
  );
}

test.each([
  String.raw`t: { TXT: DOMAIN\user }`,
  String.raw`t: { TXT: 'DOMAIN\user' }`,
  String.raw`t: { TXT: '"DOMAIN\user"' }`,
  String.raw`t: { TXT: "DOMAIN\\user" }`,
  String.raw`t: { TXT: 'a\12b' }`,
  String.raw`t: { CAA: '0 issue "a\b"' }`,
  String.raw`t: { CNAME: a\b.example.net. }`,
  String.raw`a\b: { A: 192.0.2.1 }`,
])('%s', (records) => {
  expect(warnings(records)).toEqual(['warning PH089']);
});

test.each([
  String.raw`t: { TXT: DOMAIN\\user }`,
  String.raw`t: { TXT: "DOMAIN\\\\user" }`,
  String.raw`t: { TXT: 'v=DKIM1\; p=abc' }`,
  String.raw`t: { TXT: 'say \"hi\"' }`,
  String.raw`t: { TXT: one\010two }`,
  String.raw`t: { TYPE65400: \# 4 deadbeef }`,
  String.raw`esc\.dot: { A: 192.0.2.1 }`,
])('%s is served as written', (records) => {
  expect(warnings(records)).toEqual([]);
});
