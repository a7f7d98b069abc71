import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const log = new URL('../../../../cli/serve/log.ts', import.meta.url).href;

/** stdout of a separate program, which is not a terminal. */
function run(statements: string): string {
  const program = `import { createLog } from ${JSON.stringify(log)}; const log = await createLog('info'); ${statements}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

describe('the log, if stdout is not a terminal', () => {
  it('is one JSON object per line, with the level as a word and the time as ISO 8601', () => {
    const line = JSON.parse(run("log.info({ zone: 'example.com' }, 'loaded')")) as Record<string, unknown>;
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown,
      zone: 'example.com',
      msg: 'loaded',
    });
  });

  it.each([
    ['leaves out lines below the level', "log.debug('hidden')", ''],
    ['loses nothing if the process ends at once', "log.fatal('last words'); process.exit(0)", 'last words'],
  ])('%s', (_title, statements, found) => {
    const text = run(statements);
    if (found === '') expect(text).toBe('');
    else expect(text).toContain(found);
  });

  it('hides tokens', () => {
    const text = run("log.info({ settings: { token: 's3cret' }, token: 's3cret' }, 'x')");
    expect(text).not.toContain('s3cret');
  });
});
