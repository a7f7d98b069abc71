/**
 * The common parts of the two demos: regions, example clients, the log, the keys, and the end.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emitKeypressEvents } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pino, type Logger } from 'pino';
import { startBackend, type Backend } from './demo-backends.ts';
import type { Output } from './output.ts';
import { checkoutRoot } from './version.ts';

/** The token for changes through the API of a demo. */
export const DEMO_TOKEN = 'demo';

/** Regions with the preferred ports of their backends; the keys are 1, 2, 3. */
const REGIONS = [
  { region: 'seoul', port: 8101 },
  { region: 'virginia', port: 8102 },
  { region: 'dublin', port: 8103 },
] as const;

/** Networks of large access providers, and the answer to a client there while all regions are up. */
export const CLIENTS = [
  { place: 'Korea', subnet: '168.126.63.0/24', answer: '203.0.113.10' },
  { place: 'the US', subnet: '12.0.1.0/24', answer: '198.51.100.10' },
  { place: 'Ireland', subnet: '87.32.0.0/24', answer: '192.0.2.10' },
] as const;

/** A demo's end: `stop` from a signal or a key. Call it before anything is created that must be removed. */
export function untilSignal(): { readonly stopped: Promise<undefined>; readonly stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => {
    resolve(undefined);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  return { stopped: promise, stop };
}

/** A folder for the state. It is removed even if the output can no longer be written and the process ends at once. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pharos-demo-'));
  const remove = (): void => {
    rmSync(path, { recursive: true, force: true });
  };
  process.once('exit', remove);
  return { path, remove };
}

/** Starts one backend per region, and adds it to `backends` at once. */
export async function startBackends(backends: Backend[]): Promise<void> {
  for (const { region, port } of REGIONS) backends.push(await startBackend(region, port));
}

/** The variables that both configurations of examples/demo read. */
export function demoVariables(
  own: Readonly<Record<'DEMO_PORT' | 'DEMO_STATUS_PORT' | 'DEMO_STATE_DIR', string | number>>,
  backends: readonly Backend[],
): Readonly<Record<string, string>> {
  const ports = backends.map(({ region, port }) => [`DEMO_${region.toUpperCase()}_PORT`, port] as const);
  const all = [...Object.entries(own), ['DEMO_TOKEN', DEMO_TOKEN] as const, ...ports];
  return Object.fromEntries(all.map(([name, value]) => [name, String(value)]));
}

/** A file of examples/demo: beside cli/ in a checkout, beside dist/ in the npm package. */
export function demoFile(name: string): string {
  const files = ['../examples/demo/', '../../examples/demo/'].map((path) =>
    fileURLToPath(new URL(`${path}${name}`, import.meta.url)),
  );
  return files.find((file) => existsSync(file)) ?? files[0] ?? '';
}

/** The command that runs this program in a terminal in the current folder. */
export function commandName(): string {
  const root = checkoutRoot();
  if (root === undefined) return 'pharos';
  return join(process.cwd(), '/') === root ? 'bin/pharos' : `${root}bin/pharos`;
}

/** Logs one plain line per event: all warnings; of other lines, only changes of state. */
export function plainLog(write: (line: string) => void): Logger {
  return pino(
    { level: 'info', base: null },
    {
      write: (line: string) => {
        const { msg, kind, level } = JSON.parse(line) as { msg: string; kind?: string; level: number };
        if (kind !== undefined || level >= 40) write(msg);
      },
    },
  );
}

/** Prints a line with the time of day. */
export function tell(output: Output, line: string): void {
  output.out(`${new Date().toTimeString().slice(0, 8)}  ${line}`);
}

/** `dig` as a client of a network, and the answer to expect. */
export function digLines(port: number, { subnet }: Pick<(typeof CLIENTS)[number], 'subnet'>): string {
  return `  dig @127.0.0.1 -p ${port} www.example.com +short +subnet=${subnet}`;
}

export function endLine({ style }: Output): string {
  return style('dim', process.stdin.isTTY ? 'q or Ctrl-C ends the demo.' : 'Ctrl-C ends the demo.');
}

/** Returns the action of a key: it makes a backend fail or recover, and returns a line that describes this. */
export function toggleBackend(backend: Backend): () => string {
  return () => {
    backend.set(!backend.healthy());
    return `${backend.region}: ${backend.healthy() ? 'healed' : 'failed'}`;
  };
}

/**
 * Key n runs the n-th action and prints the line that it returns; `q` and Ctrl-C call `stop`. Resolves with `stopped`.
 */
export async function untilStopped(
  actions: readonly (() => string)[],
  output: Output,
  stopped: Promise<unknown>,
  stop: () => void,
): Promise<void> {
  const { stdin } = process;
  const press = (_: string | undefined, key: { name?: string; ctrl?: boolean; sequence?: string }): void => {
    if (key.name === 'q' || (key.ctrl === true && key.name === 'c')) stop();
    const act = actions[Number(key.sequence) - 1];
    if (act !== undefined) tell(output, act());
  };
  if (stdin.isTTY) {
    emitKeypressEvents(stdin);
    stdin.setRawMode(true).resume().on('keypress', press);
  }
  await stopped;
  if (stdin.isTTY) stdin.off('keypress', press).setRawMode(false).pause();
}
