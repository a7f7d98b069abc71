/**
 * `pharos completion`: real shells complete command lines with the scripts. zsh and fish are skipped if they are not
 * installed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { has, ROOT } from '../../support/process.ts';

function runNode(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${ROOT}cli/main.ts`, ...args], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;
const scripts = new Map<string, string>();
beforeAll(() => {
  for (const shell of SHELLS) scripts.set(shell, runNode('completion', shell));
});

const general = readFileSync(`${ROOT}bin/help/pharos.txt`, 'utf8');
const commands = [...general.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name = '']) => name).filter((name) => name !== 'pharos'); // prettier-ignore

test.each(SHELLS)('%s: the script has every command and every long option of the help', (shell) => {
  const script = scripts.get(shell) ?? '';
  for (const command of commands) {
    expect(script).toMatch(new RegExp(`\\b${command}\\b`));
    if (command === 'help') continue;
    const text = readFileSync(`${ROOT}bin/help/${command}.txt`, 'utf8');
    for (const [, option = ''] of text.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)) {
      expect(script).toMatch(shell === 'fish' ? ` -l ${option} ` : `--${option}`);
    }
  }
});

/** A line up to the cursor, and what can follow in the folder with `pharos.yaml` and `zones/`. */
const LINES: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['pharos comp', ['compare', 'completion']],
  ['pharos d', ['demo', 'dnssec', 'down', 'drain', 'diff']],
  ['pharos completion ', ['bash', 'fish', 'zsh']],
  [
    'pharos import ',
    ['bind', 'cloudflare', 'coredns-gslb', 'gdnsd', 'geodns', 'k8gb', 'ns1', 'octodns', 'powerdns', 'route53'],
  ],
  ['pharos import gdnsd ph', ['pharos.yaml']],
  ['pharos import --zone example.com gdnsd ph', ['pharos.yaml']],
  ['pharos import --json gdnsd ph', ['pharos.yaml']],
  ['pharos check p', ['pharos.yaml']],
  ['pharos simulate --weigh ', ['addresses', 'auto', 'served']],
  ['pharos explain www.example.com --res', ['--resolver']],
  ['pharos explain www.example.com --config p', ['pharos.yaml']],
  ['pharos events --fol', ['--follow']],
  ['pharos events --api http://127.0.0.1:8053 --fol', ['--follow']],
  ['pharos drain --reason check --wa', ['--wait']],
  ['pharos help comp', ['compare', 'completion']],
  ['pharos drain --for ', []],
];

describe.each(['bash', 'fish'] as const)('%s completes', (shell) => {
  let words: readonly (readonly string[])[] = [];

  // One process for all lines.
  beforeAll(() => {
    if (!has(shell)) return;
    using folder = folderOf({ 'pharos.yaml': '', 'zones/a.yaml': '', script: scripts.get(shell) ?? '' });
    // bash calls the function with the line in these variables, split as it splits lines itself.
    const completing = LINES.map(([line]) =>
      shell === 'fish'
        ? `complete -C ${JSON.stringify(line)} | string split -f 1 \\t; echo --`
        : `COMP_WORDS=(${line
            .split(/(?<= )|([:=])/)
            .flatMap((word: string | undefined) => (word === undefined || word === '' ? [] : [`'${word.trimEnd()}'`]))
            .join(' ')}${line.endsWith(' ') ? " ''" : ''})
           COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMPREPLY=()
           _pharos; printf '%s\\n' "\${COMPREPLY[@]}" --`,
    );
    const command = ['source ./script', ...completing].join('\n');
    const { stdout, stderr } = spawnSync(shell, ['-c', command], { cwd: folder.path, encoding: 'utf8' });
    expect(stderr).toBe('');
    words = stdout.split('--\n').map((part) => part.split('\n').filter(Boolean));
  });

  test.skipIf(!has(shell)).each(LINES.map(([line, wanted], index) => [line, wanted, index] as const))(
    '%s',
    (_, wanted, index) => {
      expect(words[index]?.toSorted()).toEqual(wanted.toSorted());
    },
  );
});

describe.skipIf(!has('zsh'))('zsh completes', () => {
  test('every line with one possible end, on a terminal', () => {
    using folder = folderOf({ 'pharos.yaml': '', 'zones/a.yaml': '', _pharos: scripts.get('zsh') ?? '' });
    const unique = LINES.filter(([, words]) => words.length === 1);
    // The shell on the terminal has a function in place of the command, which prints its arguments.
    const talk = `
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'PS1=; autoload -Uz compinit; compinit -u -d $PWD/dump; source ./_pharos; pharos() { print -r -- "[$*]" }; print -r -- "<"ready">"'
      zpty -r z out '*<ready>*'
      ${unique.map(([line]) => `zpty -w -n z ${JSON.stringify(line)}$'\\t\\n'; zpty -r z out '*\\[*\\]*'; print -r -- "$out"`).join('\n')}
      zpty -d z`;
    const { stdout } = spawnSync('zsh', ['-fc', talk], { cwd: folder.path, encoding: 'utf8', timeout: 30_000 });
    const printed = [...stdout.matchAll(/^\[(.*)\]\r?$/gm)].map(([, line]) => line?.trimEnd());
    const wanted = unique.map(([line, [word = '']]) => line.replace(/\S*$/, word).replace('pharos ', ''));
    expect(printed).toEqual(wanted);
  });
});

test('every placeholder of the help is a known kind of value', () => {
  const known = 'config file old new name type ip cc lat,lon target url token by shell format port status-port duration text service weight command zone of options node tag address key server n kinds'; // prettier-ignore
  const used = commands
    .filter((name) => name !== 'help')
    .flatMap((name) => [
      ...readFileSync(join(ROOT, 'bin/help', `${name}.txt`), 'utf8').matchAll(/[<[]([a-z,-]+)[>\]]/g),
    ])
    .map(([, name = '']) => name);
  // A new one that names a file goes into FILES of cli/completion.ts.
  expect([...new Set(used)].filter((name) => !known.split(' ').includes(name))).toEqual([]);
});
