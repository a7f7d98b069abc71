/**
 * Runs docs/recipes.md, recipe by recipe: its files in a folder, a server with them, and the output of its commands.
 */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blocksOf, patternOf, stepsOf } from '../support/documents.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf } from '../support/pharos.ts';
import { has, PHAROS, ROOT, serve, start } from '../support/process.ts';

const [preface = '', ...recipes] = readFileSync(`${ROOT}docs/recipes.md`, 'utf8').split(/^## /m);

/** Files by the name in their first line: `# zones/example.com.yaml`. */
function filesOf(markdown: string): Record<string, string> {
  return Object.fromEntries(
    blocksOf(markdown).flatMap(({ language, text }) => {
      if (language !== 'yaml' && language !== 'csv') return [];
      return [[/^# (\S+)\n/.exec(text)?.[1] ?? '', text]];
    }),
  );
}

describe.skipIf(!has('dig'))('docs/recipes.md works as written', () => {
  test('it has the recipes that operators look for', () => {
    expect(recipes.map((recipe) => recipe.split('\n')[0])).toEqual([
      'Active and passive',
      'Geography with failover',
      'Data that must stay',
      'Latency, with geography where nothing was measured',
      'A canary with 5 %',
      'Blue and green, by hand',
      'Follow the sun',
      'Maintenance',
    ]);
  });

  // Each recipe waits for processes most of the time.
  test.concurrent.each(recipes.map((recipe) => [recipe.split('\n')[0] ?? '', recipe] as const))(
    '%s',
    async (_title, recipe) => {
      const [dns, status] = [await freePort(), await freePort()];
      // The document has the default ports, which only one server per machine can use.
      const here = (text: string): string =>
        text.replaceAll('127.0.0.1:8053', `127.0.0.1:${status}`).replaceAll('-p 5300', `-p ${dns}`);
      const files = { ...filesOf(preface), ...filesOf(recipe) };
      expect(Object.keys(files)).toEqual(expect.arrayContaining(['pharos.yaml', 'zones/example.com.yaml']));
      const local = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, here(text)]));
      const settings = `listen: 127.0.0.1:${dns}\n${local['pharos.yaml'] ?? ''}`;
      using folder = folderOf({ ...local, 'pharos.yaml': settings });
      const steps = stepsOf(recipe);
      expect(steps.length).toBeGreaterThan(0);
      await using _server = await serve([], { cwd: folder.path });
      for (const { script, expected } of steps) {
        const env = { NO_COLOR: '1', PATH: `${dirname(PHAROS)}:${process.env.PATH ?? ''}` };
        await using shell = start(['-c', here(script)], { command: 'sh', cwd: folder.path, env });
        const { stdout, stderr } = await shell.finished;
        expect(stderr).toBe('');
        if (expected !== undefined) expect(stdout, script).toMatch(patternOf(expected));
      }
    },
  );
});
