import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { latencyOf, networkRow, type LatencyTable } from '../../../geo/latency-table.ts';
import { entryAddress, type PrefixTable } from '../../../geo/prefix-table.ts';
import { parseLatencyTable, readLatencyFile } from '../../../geo/read-latency.ts';
import { formatAddress, parseAddress } from '../../../wire/address.ts';

const REGIONS = ['seoul', 'dublin'];

function parse(text: string) {
  const report = createReport();
  const table = parseLatencyTable(Buffer.from(text), 'rtt.csv', report, REGIONS)?.done();
  return { table, found: report.diagnostics };
}

/** Network and times, in the order of the file. */
function networksOf(table: LatencyTable): unknown[][] {
  const rows = (prefixes: PrefixTable): unknown[][] =>
    Array.from(prefixes.values, (row, entry) => [
      `${formatAddress(entryAddress(prefixes, entry))}/${prefixes.bits[entry] ?? 0}`,
      ...timesOf(table, row),
    ]);
  return [...rows(table.v4), ...rows(table.v6)];
}

/** By REGIONS. */
function timesOf(table: LatencyTable, row: number | undefined): (number | undefined)[] {
  return REGIONS.map((region) => latencyOf(table, row ?? -1, table.regions.indexOf(region)));
}

describe('lines of a latency table', () => {
  test('networks, AS numbers and countries have a row each', () => {
    const { table, found } = parse(
      '\ufeffnetwork,region,ms\r\n# measured in May\r\n\r\n192.0.2.0/24,seoul,12.5\r\n192.0.2.0/24 , dublin , 230\n' +
        '2001:db8::/32,dublin,9\nAS64500,seoul,40\nas64500,dublin,0\nKR,seoul,3\nkr,dublin,250',
    );
    expect(found).toEqual([]);
    if (!table) throw new Error('no table');
    expect(networksOf(table)).toEqual([
      ['192.0.2.0/24', 12.5, 230],
      ['2001:db8::/32', undefined, 9],
    ]);
    expect([...table.asns].map(([asn, of]) => [asn, ...timesOf(table, of)])).toEqual([[64500, 40, 0]]);
    expect([...table.countries].map(([code, of]) => [code, ...timesOf(table, of)])).toEqual([['KR', 3, 250]]);
  });

  test.for([
    ['192.0.2.0/24,seoul', 'PH411', 1],
    ['192.0.2.0/24;seoul;1', 'PH411', 1],
    ['KR,seoul,1,2', 'PH411', 1],
    ['192.0.2.1/24,seoul,1', 'PH412', 1],
    ['192.0.2.256/32,seoul,1', 'PH412', 1],
    ['192.0.2.0/33,seoul,1', 'PH412', 1],
    ['192.0.2/24,seoul,1', 'PH412', 1],
    ['192.0.02.0/24,seoul,1', 'PH412', 1],
    ['2001:db8::1/32,seoul,1', 'PH412', 1],
    ['AS0,seoul,1', 'PH412', 1],
    ['AS4294967296,seoul,1', 'PH412', 1],
    ['ZZ,seoul,1', 'PH412', 1],
    [',seoul,1', 'PH412', 1],
    ['KR,tokyo,1', 'PH413', 4],
    ['KR,,1', 'PH413', 4],
    ['KR,seoul,', 'PH414', 10],
    ['KR,seoul,12ms', 'PH414', 10],
    ['KR,seoul,-1', 'PH414', 10],
    ['KR,seoul,60001', 'PH414', 10],
    ['KR,seoul,NaN', 'PH414', 10],
  ] as const)('%s: %s at column %i', ([text, code, column]) => {
    const { table, found } = parse(`JP,seoul,1\n${text}\n`);
    expect(table).toBeUndefined();
    expect(found).toMatchObject([
      { code, severity: 'error', place: { file: 'rtt.csv', line: 2, column, excerpt: text } },
    ]);
    expect(found[0]?.hint).toBeTruthy();
  });

  test.for([
    ['1.0.0.0/8,seoul,12.5', '1.0.0.0/8', 12.5],
    ['1.0.0.0/8,seoul,0.1', '1.0.0.0/8', 0.1],
    ['1.0.0.0/8,seoul,12.34567890123', '1.0.0.0/8', 12.34567890123],
    ['1.0.0.0/8,seoul,0.30000000000000004', '1.0.0.0/8', 0.30000000000000004],
    ['1.0.0.0/8,seoul,1e2', '1.0.0.0/8', 100],
    ['1.0.0.0/8,seoul,.5', '1.0.0.0/8', 0.5],
    ['1.0.0.0/8,seoul,5.', '1.0.0.0/8', 5],
    ['1.0.0.0/8,seoul,60000', '1.0.0.0/8', 60_000],
    ['0.0.0.0/0,seoul,7', '0.0.0.0/0', 7],
    ['255.255.255.255/32,seoul,7', '255.255.255.255/32', 7],
    ['192.0.2.9,seoul,7', '192.0.2.9/32', 7],
    ['2001:db8::/33,seoul,7', '2001:db8::/33', 7],
    ['::/0,seoul,7', '::/0', 7],
  ] as const)('%s: exactly that, plain or not', ([text, network, ms]) => {
    for (const end of ['', '\n', '\r\n', ' \n']) {
      const { table, found } = parse(text + end);
      expect(found).toEqual([]);
      expect(table && networksOf(table)).toEqual([[network, ms, undefined]]);
    }
  });

  test('every mistake is shown, up to a limit', () => {
    expect(parse('a,b\nKR,seoul,x\n').found.map(({ code, place }) => `${code}:${place.line}`)).toEqual([
      'PH411:1',
      'PH414:2',
    ]);
    const { found } = parse('KR,seoul,x\n'.repeat(1000));
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toMatchObject({ code: 'PH417' });
    expect(found.at(-1)?.message).toContain('980');
  });

  test('measured twice: the last counts, with one warning', () => {
    const { table, found } = parse('192.0.2.0/24,seoul,1\n192.0.2.0/24,seoul,2\n192.0.2.0/24,seoul,3\n');
    expect(table && networksOf(table)).toEqual([['192.0.2.0/24', 3, undefined]]);
    expect(found).toMatchObject([{ code: 'PH415', severity: 'warning', place: { line: 2 } }]);
  });

  test.for(['', '\n\n', '# nothing\n', 'network,region,ms\n'])('%j: empty, with a warning', (text) => {
    const { table, found } = parse(text);
    expect(table && networksOf(table)).toEqual([]);
    expect(found).toMatchObject([{ code: 'PH416', severity: 'warning' }]);
  });

  test('a missing file: PH410', () => {
    const report = createReport();
    expect(readLatencyFile('/nonexistent/rtt.csv', report, REGIONS)).toBeUndefined();
    expect(report.diagnostics).toMatchObject([{ code: 'PH410', place: { file: '/nonexistent/rtt.csv' } }]);
  });

  test('200,000 lines are read, and all of them count', () => {
    const lines: string[] = [];
    for (let i = 0; i < 100_000; i++) {
      const network = `10.${i >> 9}.${(i >> 1) & 255}.${(i & 1) * 128}/25`;
      lines.push(`${network},seoul,${i % 300}`, `${network},dublin,${i % 200}`);
    }
    const { table, found } = parse(lines.join('\n'));
    expect(found).toEqual([]);
    expect(table?.v4.count).toBe(100_000);
    const last = table && networkRow(table, parseAddress('10.195.79.200') ?? new Uint8Array(4));
    expect(last?.network).toBe('10.195.79.128/25');
    expect(table && timesOf(table, last?.row)).toEqual([99_999 % 300, 199]);
  });
});
