/**
 * `pharos demo`: runs examples/demo on this machine, with backends that can be made to fail and to recover.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emitKeypressEvents } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pino, type Logger } from 'pino';
import { checkListen } from '../server/io/check-listen.ts';
import { formatEndpoint } from '../wire/address.ts';
import { startBackend, type Backend } from './demo-backends.ts';
import { loadInputFor } from './load-input.ts';
import { EXIT, terminal, type Output } from './output.ts';
import { GivenUpError, runServer, type RunningServer } from './serve/run-server.ts';
import { explainFailure } from './serve.ts';

/** Regions with their preferred ports; the keys are 1, 2, 3. */
const REGIONS = [
  { region: 'seoul', port: 8101 },
  { region: 'virginia', port: 8102 },
  { region: 'dublin', port: 8103 },
] as const;

/** Networks of large access providers, and the answer to a client there while all regions are up. */
const CLIENTS = [
  { place: 'Korea', subnet: '168.126.63.0/24', answer: '203.0.113.10' },
  { place: 'the US', subnet: '12.0.1.0/24', answer: '198.51.100.10' },
  { place: 'Ireland', subnet: '87.32.0.0/24', answer: '192.0.2.10' },
] as const;

export type DemoOptions = {
  /** Ports on 127.0.0.1 for DNS and for the status page; 0 for a free one. */
  readonly port: number;
  readonly statusPort: number;
};

/** Runs until `q`, Ctrl-C or SIGTERM. Returns the exit code. */
export async function demo({ port, statusPort }: DemoOptions): Promise<number> {
  const output = terminal();
  // Before anything is created that must be removed, and until the end of the process.
  const stopped = Promise.withResolvers<undefined>();
  const stop = (): void => {
    stopped.resolve(undefined);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const host = '127.0.0.1';
  const taken = await checkListen([{ host, port }], [{ host, port: statusPort }]);
  if (taken) {
    explainFailure(taken, output);
    output.error('    choose other ports for the demo with --port and --status-port; 0 chooses a free one');
    return EXIT.FAILED;
  }
  const stateDir = mkdtempSync(join(tmpdir(), 'pharos-demo-'));
  const removeState = (): void => {
    rmSync(stateDir, { recursive: true, force: true });
  };
  // Also if the output can no longer be written, which ends the process at once.
  process.once('exit', removeState);
  const backends: Backend[] = [];
  let server: RunningServer | undefined;
  try {
    for (const region of REGIONS) backends.push(await startBackend(region.region, region.port));
    const env = {
      ...process.env,
      DEMO_PORT: String(port),
      DEMO_STATUS_PORT: String(statusPort),
      DEMO_TOKEN: 'demo',
      DEMO_STATE_DIR: stateDir,
      ...Object.fromEntries(
        backends.map((backend) => [`DEMO_${backend.region.toUpperCase()}_PORT`, `${backend.port}`]),
      ),
    };
    const input = { ...loadInputFor(join(exampleFolder(), 'pharos.yaml')), env };
    server = await runServer(input, () => Promise.resolve(plainLog(output)), { givenUp: stopped.promise });
    output.out(introduction(server, backends, output));
    await untilStopped(backends, output, stopped.promise, stop);
    return EXIT.OK;
  } catch (error) {
    if (error instanceof GivenUpError) return EXIT.OK;
    if (explainFailure(error, output)) return EXIT.FAILED;
    throw error;
  } finally {
    await server?.stop();
    await Promise.all(backends.map((backend) => backend.close()));
    removeState();
  }
}

/** Beside cli/ in a checkout, beside dist/ in the npm package. */
function exampleFolder(): string {
  const folders = ['../examples/demo/', '../../examples/demo/'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return folders.find((folder) => existsSync(folder)) ?? folders[0] ?? '';
}

/** One plain line per event, for reading along. */
function plainLog(output: Output): Logger {
  return pino(
    { level: 'info', base: null },
    {
      write: (line: string) => {
        const { msg, kind, level } = JSON.parse(line) as { msg: string; kind?: string; level: number };
        // All warnings; of other lines, only changes of state.
        if (kind === undefined && level < 40) return;
        output.out(`${new Date().toTimeString().slice(0, 8)}  ${msg}`);
      },
    },
  );
}

function introduction(server: RunningServer, backends: readonly Backend[], { style }: Output): string {
  const [dns] = server.addresses;
  const host = dns?.host ?? '';
  const port = dns?.port ?? 0;
  const api = server.status ? `http://${formatEndpoint(server.status)}` : '';
  const dig = CLIENTS.map(({ place, subnet, answer }) => {
    const command = `dig @${host} -p ${port} www.example.com +short +subnet=${subnet}`;
    return `  ${command}\n      ${style('dim', `# ${place}: ${answer}`)}`;
  });
  const control = backends.map(({ region, port: backendPort }, index) => {
    return `  ${region.padEnd(8)}  key ${index + 1}, or  curl -X POST http://127.0.0.1:${backendPort}/fail   (or /recover)`;
  });
  return [
    '',
    style('bold', 'Pharos demo: three regions on this machine and a server that steers clients'),
    '',
    `Ask from another terminal, as clients of three countries:`,
    ...dig,
    '',
    'Make a region fail and ask again, then let it recover:',
    ...control,
    '',
    'Show the reason for an answer:',
    `  bin/pharos explain www.example.com --country KR --api ${api}`,
    'Show what is up:',
    `  curl ${api}/`,
    `Status page, for a browser: ${style('bold', `${api}/`)}`,
    '',
    style('dim', process.stdin.isTTY ? 'q or Ctrl-C ends the demo.' : 'Ctrl-C ends the demo.'),
    '',
  ].join('\n');
}

/** Keys 1 to 3 make a region fail or recover; `q` and Ctrl-C call `stop`. Resolves with `stopped`. */
async function untilStopped(
  backends: readonly Backend[],
  output: Output,
  stopped: Promise<unknown>,
  stop: () => void,
): Promise<void> {
  const { stdin } = process;
  const press = (_: string | undefined, key: { name?: string; ctrl?: boolean; sequence?: string }): void => {
    if (key.name === 'q' || (key.ctrl === true && key.name === 'c')) stop();
    const backend = backends[Number(key.sequence) - 1];
    if (!backend) return;
    backend.set(!backend.healthy());
    output.out(
      `${new Date().toTimeString().slice(0, 8)}  ${backend.region}: ${backend.healthy() ? 'healed' : 'failed'}`,
    );
  };
  if (stdin.isTTY) {
    emitKeypressEvents(stdin);
    stdin.setRawMode(true).resume().on('keypress', press);
  }
  await stopped;
  if (stdin.isTTY) stdin.off('keypress', press).setRawMode(false).pause();
}
