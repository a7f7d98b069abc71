/**
 * A TXT value in a YAML block (`|` or `>`) ends with an unintended line break: it became the last octet of the text, so
 * an SPF record said "-all\010", which receivers reject.
 */
import { expect, test } from 'vitest';
import { readZoneText, recordsOf } from '../../unit/zones/read-helper.ts';

const HEAD = 'zone: example.com\nnameservers: [ns1.example.net.]\nrecords:\n';

test.each([
  ['|\n      v=spf1 -all', '"v=spf1 -all"'],
  ['>\n      v=spf1\n      -all', '"v=spf1 -all"'],
  ['|+\n      v=spf1 -all\n\n', '"v=spf1 -all"'],
  ['>\n      "v=spf1"\n      " -all"', '"v=spf1" " -all"'],
  ['|\n      two\n      lines', '"two\\010lines"'],
  ['"meant\\\\010"', '"meant\\010"'],
])('%j', (value, expected) => {
  const { zone, diagnostics } = readZoneText(`${HEAD}  text:\n    TXT: ${value}\n`);
  expect(diagnostics).toEqual([]);
  expect(recordsOf(zone)).toContain(`text.example.com 300 TXT ${expected}`);
});
