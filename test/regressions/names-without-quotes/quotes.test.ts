/**
 * `@` and `*.dev`, which every zone file has and which YAML requires in quotes, gave the parser's message and no hint,
 * or a wrong one, and every line below them gave another error.
 */
import { expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';

test.each([
  ['records:\n  @: { MX: 10 ns1 }\n', '2:3 PH002', '"@"'],
  ['records:\n  @:\n    MX: 10 ns1\n', '2:3 PH002', '"@"'],
  ['records: { @: { MX: 10 ns1 } }\n', '1:12 PH002', '"@"'],
  ['records:\n  *.dev: { A: 192.0.2.80 }\n', '2:3 PH002', '"*.dev"'],
  ['records:\n  *.dev:\n    A: 192.0.2.80\n  b: { A: 192.0.2.1 }\n', '2:3 PH002', '"*.dev"'],
  ['records:\n  *: { A: 192.0.2.80 }\n', '2:3 PH002', '"*"'],
  ['records:\n  *.dev : { A: 192.0.2.80 }\n', '2:3 PH005', '"*.dev"'],
  ['records:\n  a: { NS: [@] }\n', '2:13 PH002', '"@"'],
  ['records:\n  a:\n    CNAME: @\n', '3:12 PH002', '"@"'],
  ['records:\n  a:\n    CNAME: *.dev\n', '3:12 PH005', '"*.dev"'],
  ['services:\n  *.apps:\n    vips: { a: { A: 192.0.2.1 } }\n', '2:3 PH002', '"*.apps"'],
])('%j', (text, place, hint) => {
  const report = createReport();
  parseYaml('zone.yaml', text, {}, report);
  const shown = report.diagnostics.map(({ place: { line, column }, code }) => `${line}:${column} ${code}`);
  expect(shown).toEqual([place]);
  expect(report.diagnostics[0]?.hint).toContain(hint);
});

test('a secret that begins with @ is not shown', () => {
  const report = createReport();
  parseYaml('pharos.yaml', 'status:\n  token: @\n', {}, report);
  expect(report.diagnostics.map(({ code }) => code)).toEqual(['PH002']);
});
