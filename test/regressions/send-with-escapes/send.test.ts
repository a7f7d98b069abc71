/**
 * `send: PING\r\n` without double quotes sends letters: the target waits for the end of the line, and the VIP is down.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

function warnings(check: string): string[] {
  const zone = `zone: example.com\nnameservers: [ns.example.net.]\nchecks:\n  web: ${check}\n`;
  return mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
}

test.each([
  String.raw`{ type: tcp, port: 1, send: PING\r\n }`,
  String.raw`{ type: tcp, port: 1, send: 'PING\n' }`,
  String.raw`{ type: tcp, port: 1, send: \x50ING }`,
  String.raw`{ type: tcp, port: 1, expect: '+OK\r\n' }`,
  String.raw`{ type: http, body: a\tb }`,
])('%s', (check) => {
  expect(warnings(check)).toEqual([expect.stringMatching(/:4 warning PH090: /)]);
});

test.each([
  String.raw`{ type: tcp, port: 1, send: "PING\r\n" }`,
  String.raw`{ type: tcp, port: 1, send: "C:\\new" }`,
  String.raw`{ type: tcp, port: 1, expect: '/^\+OK\r\n/' }`,
  String.raw`{ type: http, body: 'a\-b' }`,
])('%s is as it should be', (check) => {
  expect(warnings(check)).toEqual([]);
});
