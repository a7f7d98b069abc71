/**
 * Runs the READMEs of examples/: a server in a copy of the folder, the commands, and their output.
 */
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { patternOf, stepsOf } from '../support/documents.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf } from '../support/pharos.ts';
import { has, PHAROS, ROOT, serve, start } from '../support/process.ts';

const examples = globSync('examples/*/README.md', { cwd: ROOT }).map((file) => dirname(file).slice('examples/'.length));
/** What an example needs beside dig. */
const NEEDS: Readonly<Record<string, readonly string[]>> = { draining: ['haproxy', 'curl'] };

/** Ends what an example has started and not ended, because a command failed before. */
function endPrograms(folder: string): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const file of globSync('*.pid', { cwd: folder })) {
        try {
          process.kill(Number(readFileSync(join(folder, file), 'utf8')));
        } catch {
          // It has ended.
        }
      }
    },
  };
}

describe.skipIf(!has('dig'))('examples', () => {
  test('those with commands are all there', () => {
    const listed = readFileSync(`${ROOT}examples/README.md`, 'utf8').matchAll(/\]\(([a-z0-9-]+)\/README\.md\)/g);
    expect([...listed].map(([, name]) => name).sort()).toEqual(examples.toSorted());
    expect(examples.length).toBeGreaterThan(5);
  });

  for (const name of examples) {
    const canRun = (NEEDS[name] ?? []).every(has);
    test.skipIf(!canRun).concurrent(`${name} works as written`, async () => {
      const [status, backend] = [await freePort(), await freePort()];
      // The example has the default ports, which only one server per machine can use.
      const here = (text: string): string =>
        text
          .replaceAll('8053', String(status))
          .replaceAll('8081', String(backend))
          .replaceAll('127.0.0.1:5300', '127.0.0.1:0');
      using folder = folderOf({});
      cpSync(`${ROOT}examples/${name}`, folder.path, { recursive: true });
      for (const file of globSync('**/*.{yaml,cfg}', { cwd: folder.path })) {
        const path = join(folder.path, file);
        writeFileSync(path, here(readFileSync(path, 'utf8')));
      }
      const steps = stepsOf(readFileSync(`${ROOT}examples/${name}/README.md`, 'utf8'));
      expect(steps.length).toBeGreaterThan(0);
      using _left = endPrograms(folder.path);
      await using server = await serve([], { cwd: folder.path });
      const path = [dirname(PHAROS), dirname(process.execPath), process.env['PATH'] ?? ''].join(':');
      for (const { script, expected } of steps) {
        await using shell = start(['-c', here(script).replaceAll('-p 5300', `-p ${server.port}`)], {
          command: 'sh',
          cwd: folder.path,
          env: { NO_COLOR: '1', PATH: path },
        });
        const { stdout, stderr } = await shell.finished;
        expect(stderr, script).toBe('');
        expect(stdout, script).toMatch(patternOf(here(expected ?? '')));
      }
    });
  }
});
