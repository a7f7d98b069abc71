/**
 * A NATS server with JetStream for `pharos demo --fleet`: found on this machine, and run on a free port of loopback.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { codeOf } from '../config/unknown-values.ts';

/** Folders in which packages of operating systems install servers. They are searched in addition to the PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
const START_MS = 15_000;
const LOOK_AGAIN_MS = 50;
const STOP_MS = 5000;

export const NO_NATS_SERVER = [
  'nats-server is not installed',
  '    Debian and Ubuntu: apt-get install nats-server; in a checkout as root: bin/setup --demo',
  '    macOS: brew install nats-server',
  '    others: https://github.com/nats-io/nats-server/releases; put it on the PATH',
].join('\n');

/** Undefined if there is none. */
export function findNatsServer(path: string | undefined): string | undefined {
  return [...(path ?? '').split(delimiter), ...SYSTEM_FOLDERS]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'nats-server'))
    .find(isExecutable);
}

/** Installs it with `bin/setup` of a checkout, which requires root and apt-get. */
export function installNatsServer(root: string): void {
  if (process.getuid?.() !== 0 || !existsSync(join(root, 'bin/setup'))) return;
  spawnSync('sh', [join(root, 'bin/setup'), '--demo'], { stdio: ['ignore', 'inherit', 'inherit'] });
}

export type NatsServer = {
  readonly port: number;
  readonly stop: () => Promise<void>;
};

export class NatsServerError extends Error {}

/**
 * Ends the server when its standard input is closed, which also happens if this process is killed. The server has a
 * separate session, so that Ctrl-C does not reach it before the nodes have left.
 */
const GUARD = 'exec 3<&0; (read -r _ <&3; kill "$$" 2>/dev/null) & exec "$@" </dev/null 3<&-';

/** Keeps its data and its log in `folder`. Rejects with NatsServerError if it does not start. */
export async function startNatsServer(program: string, folder: string): Promise<NatsServer> {
  mkdirSync(folder, { recursive: true });
  const log = join(folder, 'nats-server.log');
  const args = [
    ...['--addr', '127.0.0.1', '--port', '-1', '--ports_file_dir', folder],
    ...['--jetstream', '--store_dir', join(folder, 'jetstream'), '--log', log],
  ];
  const child = spawn('sh', ['-c', GUARD, 'sh', program, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.stdin.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
    child.once('error', () => {
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
  };
  const port = await portOf(child, folder);
  if (port !== undefined) return { port, stop };
  await stop();
  throw new NatsServerError(`${program} did not start\n    ${lastLines(log)}`);
}

/** The port that it chose, from the file that it writes. Undefined if it ends, or does not write the file in time. */
async function portOf(child: ChildProcess, folder: string): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < START_MS && child.exitCode === null; waitedMs += LOOK_AGAIN_MS) {
    const text = readIfThere(join(folder, `nats-server_${String(child.pid)}.ports`));
    const port = /nats:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  return undefined;
}

function lastLines(file: string): string {
  return readIfThere(file).trim().split('\n').slice(-3).join('\n    ') || 'it wrote no log';
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
