/**
 * bin/pharos prints help from bin/help/ without Node.js: each file is what the command line prints.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { main } from '../../../cli/main.ts';
import { captureOutput } from './captured-output.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const HELP = `${ROOT}bin/help`;

function outputOf(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** What a new process of Node.js prints. */
function printed(...args: string[]): string {
  return outputOf(process.execPath, `${ROOT}cli/main.ts`, ...args);
}

/** The same in this process, which is quicker. */
async function helpOf(...path: readonly string[]): Promise<string> {
  const { output, out, error } = captureOutput();
  expect({ code: await main([...path, '--help'], output), error: error() }).toEqual({ code: 0, error: '' });
  return `${out()}\n`;
}

const general = printed('--help');
const commands = [...general.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name = '']) => name).filter((name) => name !== 'pharos' && name !== 'help'); // prettier-ignore

test('there is one file for the program and one for each command', () => {
  expect(commands).toContain('serve');
  expect(readdirSync(HELP).toSorted()).toEqual(['pharos', ...commands].map((name) => `${name}.txt`).toSorted());
});

// After a change of the help: npx vitest run --project unit test/unit/cli/help.test.ts -u
test.each(['pharos', ...commands])('%s.txt', async (name) => {
  const text = name === 'pharos' ? general : await helpOf(name);
  await expect(text).toMatchFileSnapshot(`${HELP}/${name}.txt`);
});

test.each(commands)('%s and its subcommands have an example', async (name) => {
  const below = async (path: readonly string[]): Promise<string[]> => {
    const text = await helpOf(...path);
    expect(text, path.join(' ')).toMatch(/\nExamples?:\n {2}pharos /);
    // Their section ends with an empty line.
    const [, section = ''] = /\nCommands:\n((?:.+\n)+)/.exec(text) ?? [];
    const names = [...section.matchAll(/^ {2}([a-z]+)/gm)].map(([, each = '']) => each);
    const further = await Promise.all(names.filter((each) => each !== 'help').map((each) => below([...path, each])));
    return [path.join(' '), ...further.flat()];
  };
  const shown = await below([name]);
  if (name === 'dnssec') expect(shown).toContain('dnssec retire');
});

test.each([
  [['--help'], 'pharos'],
  [['-h'], 'pharos'],
  [['help'], 'pharos'],
  [['check', '--help'], 'check'],
  [['check', '-h'], 'check'],
  [['help', 'check'], 'check'],
])('pharos %j prints it without Node.js, and so does Node.js', (args, name) => {
  const text = readFileSync(`${HELP}/${name}.txt`, 'utf8');
  expect(outputOf(`${ROOT}bin/pharos`, ...args)).toBe(text);
  expect(printed(...args)).toBe(text);
});

test.each(['--version', '-V'])('pharos %s', (option) => {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
  expect(outputOf(`${ROOT}bin/pharos`, option)).toBe(`${version}\n`);
  expect(printed(option)).toBe(`${version}\n`);
});
