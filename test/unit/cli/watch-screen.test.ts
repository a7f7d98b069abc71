/** Fitting a report to a terminal. */
import { describe, expect, test } from 'vitest';
import type { StatusLines } from '../../../cli/render-status.ts';
import { cutLine, fitLines } from '../../../cli/watch-screen.ts';

describe('a line is cut to the columns', () => {
  test.each<[title: string, text: string, columns: number, shown: string]>([
    ['shorter', 'abc', 5, 'abc'],
    ['as long as there is room', 'abcde', 5, 'abcde'],
    ['longer', 'abcdef', 5, 'abcd…'],
    ['one column', 'abc', 1, '…'],
    ['colours take no room', '\u001b[31mabcde\u001b[39m', 5, '\u001b[31mabcde\u001b[39m'],
    ['a colour ends with the line', '\u001b[31mabcdef\u001b[39m', 5, '\u001b[31mabcd…\u001b[0m'],
    ['a colour that begins where it is cut is left out', 'abcde\u001b[31mf\u001b[39m', 5, 'abcd…\u001b[0m'],
    ['wide letters take two', '서울서울', 6, '서울…'],
    ['marks take none', 'e\u0301e\u0301e\u0301', 3, 'e\u0301e\u0301e\u0301'],
    ['a line feed is a space', 'a\nb', 5, 'a b'],
    ['the beginning of another sequence does nothing', 'a\u001b[2Jb', 9, 'a [2Jb'],
    ['nothing', '', 5, ''],
  ])('%s', (_title, text, columns, shown) => {
    expect(cutLine(text, columns)).toBe(shown);
  });
});

const service = (name: string, vips: number): StatusLines['services'][number] => ({
  head: [name, '  VIP'],
  vips: Array.from({ length: vips }, (_, n) => `  ${name}${n}`),
  foot: [],
});
const plain = (_format: unknown, text: string): string => text;

describe('the lines are cut to the rows', () => {
  const lines: StatusLines = {
    head: ['Pharos', 'rates'],
    alarms: ['ALARM 1', 'ALARM 2'],
    services: [service('a', 3), service('b', 2)],
  };
  const whole = ['Pharos', 'rates', 'ALARM 1', 'ALARM 2', '', 'a', '  VIP', '  a0', '  a1', '  a2', '', 'b', '  VIP'];
  test.each<[title: string, lines: StatusLines, rows: number, shown: readonly string[]]>([
    ['all', lines, 15, [...whole, '  b0', '  b1']],
    ['one row too few', lines, 14, [...whole, 'and 2 more VIPs']],
    ['one service and a half', lines, 11, [...whole.slice(0, 10), 'and 1 more service, 2 more VIPs']],
    ['part of a service', lines, 9, [...whole.slice(0, 8), 'and 1 more service, 4 more VIPs']],
    [
      'alarms leave half of the rows to services',
      { ...lines, alarms: ['1', '2', '3', '4', '5'] },
      8,
      [...['Pharos', 'rates', '1', '2', '3', 'and 2 more alarms', ''], 'and 2 more services, 5 more VIPs'],
    ],
    ['one row', lines, 1, ['and 2 more alarms, 2 more services, 5 more VIPs']],
    ['no service', { ...lines, services: [] }, 9, [...whole.slice(0, 5), 'No service is steered here.']],
  ])('%s', (_title, given, rows, shown) => {
    expect(fitLines(given, { columns: 100, rows }, plain)).toEqual(shown);
  });

  test('an error is shown below the head', () => {
    expect(fitLines(lines, { columns: 100, rows: 20 }, plain, 'no answer').slice(1, 4)).toEqual([
      'rates',
      'no answer',
      'ALARM 1',
    ]);
  });

  test('every size of terminal works', () => {
    for (let rows = 1; rows < 20; rows++) {
      for (let columns = 1; columns < 20; columns++) {
        const shown = fitLines(lines, { columns, rows }, plain, 'no answer');
        expect(shown.length).toBeLessThanOrEqual(rows);
        for (const line of shown) expect(line.length).toBeLessThanOrEqual(columns);
      }
    }
  });
});
