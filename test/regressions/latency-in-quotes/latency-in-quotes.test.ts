/**
 * A table with fields in double quotes (RFC 4180), as spreadsheets and statistics programs write it, was rejected in
 * every line: "there is no region "seoul"". And a first line without a network was read as one.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { parseLatencyTable } from '../../../geo/read-latency.ts';

const table = readFileSync(new URL('rtt.csv', import.meta.url));

test('fields may be in double quotes', () => {
  const report = createReport();
  const read = parseLatencyTable(table, 'rtt.csv', report, ['seoul'])?.done();
  expect(report.diagnostics).toEqual([]);
  expect([read?.v4.count, read?.v6.count]).toEqual([1, 1]);
  expect([...(read?.asns.keys() ?? [])]).toEqual([64500]);
  expect([...(read?.countries.keys() ?? [])]).toEqual(['KR']);
  expect([...(read?.ms ?? [])]).toEqual([12.5, 9, 40, 3]);
});

test.each([',seoul,1', '"192.0.2.0/24,seoul,1', 'KR,"seoul,1', '"",seoul,1', 'KR,seoul,"'])(
  '%s is a mistake',
  (line) => {
    const report = createReport();
    expect(parseLatencyTable(Buffer.from(line), 'rtt.csv', report, ['seoul'])).toBeUndefined();
  },
);
