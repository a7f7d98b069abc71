import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { latencyOf, parseLatencyTable, readLatencyTable } from '../../../geo/latency-table.ts';
import { formatPrefix } from '../../../wire/address.ts';

const REGIONS = ['seoul', 'dublin'];

function parse(text: string) {
  const report = createReport();
  const table = parseLatencyTable(text, 'rtt.csv', report, REGIONS);
  return { table, found: report.diagnostics };
}

describe('lines of a latency table', () => {
  test('networks, AS numbers and countries have a row each', () => {
    const { table, found } = parse(
      '\ufeffnetwork,region,ms\r\n# measured in May\r\n\r\n192.0.2.0/24,seoul,12.5\r\n192.0.2.0/24 , dublin , 230\n' +
        '2001:db8::/32,dublin,9\nAS64500,seoul,40\nas64500,dublin,0\nKR,seoul,3\nkr,dublin,250',
    );
    expect(found).toEqual([]);
    if (!table) throw new Error('no table');
    const row = (of: number | undefined) => REGIONS.map((_, column) => latencyOf(table, of ?? -1, column));
    expect(table.networks.map(({ prefix, row: of }) => [formatPrefix(prefix), ...row(of)])).toEqual([
      ['192.0.2.0/24', 12.5, 230],
      ['2001:db8::/32', undefined, 9],
    ]);
    expect([...table.asns].map(([asn, of]) => [asn, ...row(of)])).toEqual([[64500, 40, 0]]);
    expect([...table.countries].map(([code, of]) => [code, ...row(of)])).toEqual([['KR', 3, 250]]);
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

  test('every mistake is shown, to a limit', () => {
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
    expect(table && latencyOf(table, 0, 0)).toBe(3);
    expect(found).toMatchObject([{ code: 'PH415', severity: 'warning', place: { line: 2 } }]);
  });

  test.for(['', '\n\n', '# nothing\n', 'network,region,ms\n'])('%j: empty, with a warning', (text) => {
    const { table, found } = parse(text);
    expect(table?.networks).toEqual([]);
    expect(found).toMatchObject([{ code: 'PH416', severity: 'warning' }]);
  });

  test('a file that is not there: PH410', () => {
    const report = createReport();
    expect(readLatencyTable('/nonexistent/rtt.csv', report, REGIONS)).toBeUndefined();
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
    expect(table?.networks).toHaveLength(100_000);
    expect(table && latencyOf(table, 99_999, 1)).toBe(199);
  });
});
