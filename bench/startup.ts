/**
 * `node bench/startup.ts`: CPU time of starts and commands with a small configuration. Commands and servers take turns.
 * The first round fills the caches and does not count.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { cpuTime, findProgram, processTree, startServer } from '../test/support/server-process.ts';
import { median } from './results.ts';

const HELP = `node bench/startup.ts [--command PATH] [--rounds N]
  PATH: the pharos to measure, such as an installed one; bin/pharos of this checkout by default
`;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ZONE = 'example.com';

const values = scriptOptions(HELP, {
  command: { type: 'string', default: join(ROOT, 'bin/pharos') },
  rounds: { type: 'number', default: 5 },
});

/** CPU seconds of a command and its children, in user and system mode together. */
function cpuOfCommand(args: readonly string[], cwd: string): number {
  // `times` prints two lines: the shell's own time, then that of its children.
  const text = execFileSync('sh', ['-c', '"$@" >&2 || exit 1; times', 'sh', ...args], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const children = [...(text.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  return children.reduce((sum, [, minutes = '', seconds = '']) => sum + Number(minutes) * 60 + Number(seconds), 0);
}

/** CPU seconds of a server until its first answer. */
async function cpuOfStart(program: string, args: readonly string[], port: number): Promise<number> {
  const running = await startServer(program, args, port, ZONE);
  const { user, system } = cpuTime(processTree(running.pid));
  await running.stop();
  return user + system;
}

function writeGdnsd(folder: string, port: number): string {
  const root = join(folder, 'gdnsd');
  for (const name of ['zones', 'run', 'state']) mkdirSync(join(root, name), { recursive: true });
  const folders = `run_dir => ${root}/run, state_dir => ${root}/state`;
  writeFileSync(join(root, 'config'), `options => { listen => 127.0.0.1:${port}, ${folders} }\n`);
  writeFileSync(
    join(root, 'zones', ZONE),
    `@ SOA ns1 hostmaster 1 7200 1800 1209600 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 203.0.113.80\n`,
  );
  return root;
}

async function measure(folder: string): Promise<void> {
  const { command } = values;
  cpSync(join(ROOT, 'examples/minimal'), folder, { recursive: true });
  const port = await freePort();
  writeFileSync(join(folder, 'pharos.yaml'), `listen: 127.0.0.1:${port}\nstatus: off\n`);
  const explain = ['explain', `www.${ZONE}`, '--client', '168.126.63.1'];
  const gdnsd = findProgram('gdnsd');
  const measured: Record<string, () => number | Promise<number>> = {
    'node -e 0': () => cpuOfCommand([process.execPath, '-e', '0'], folder),
    'pharos --version': () => cpuOfCommand([command, '--version'], folder),
    'pharos --help': () => cpuOfCommand([command, '--help'], folder),
    'pharos check': () => cpuOfCommand([command, 'check'], folder),
    'pharos explain': () => cpuOfCommand([command, ...explain], folder),
    'pharos serve, until it answers': () => cpuOfStart(command, ['serve', join(folder, 'pharos.yaml')], port),
  };
  if (gdnsd !== undefined) {
    const peerPort = await freePort();
    const root = writeGdnsd(folder, peerPort);
    measured['gdnsd start, until it answers'] = () => cpuOfStart(gdnsd, ['-c', root, 'start'], peerPort);
  }
  const seconds = new Map(Object.keys(measured).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= values.rounds; round++) {
    for (const [name, run] of Object.entries(measured)) {
      const used = await run();
      if (round > 0) seconds.get(name)?.push(used);
    }
  }
  console.log(`CPU time, median of ${values.rounds} rounds (least to most)`);
  for (const [name, all] of seconds) {
    const [least, most] = [Math.min(...all), Math.max(...all)];
    console.log(`  ${name.padEnd(32)} ${ms(median(all))} ms   (${ms(least)} to ${ms(most)})`);
  }
}

function ms(seconds: number): string {
  return (seconds * 1000).toFixed(0).padStart(5);
}

const folder = mkdtempSync(join(tmpdir(), 'pharos-startup-'));
try {
  await measure(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
