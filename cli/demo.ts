/**
 * `pharos demo`: runs examples/demo on this machine, with backends that can be made to fail and to recover.
 */
import { checkListen } from '../server/io/check-listen.ts';
import { formatEndpoint } from '../wire/address.ts';
import type { Backend } from './demo-backends.ts';
import {
  CLIENTS,
  commandName,
  demoFile,
  demoVariables,
  digLines,
  endLine,
  plainLog,
  startBackends,
  tell,
  temporaryFolder,
  toggleBackend,
  untilSignal,
  untilStopped,
} from './demo-parts.ts';
import { loadInputFor } from './load-input.ts';
import { EXIT, terminal, type Output } from './output.ts';
import { GivenUpError, runServer, type RunningServer } from './serve/run-server.ts';
import { explainFailure } from './serve.ts';

export type DemoOptions = {
  /** Ports on 127.0.0.1 for DNS and for the status page; 0 for a free one. */
  readonly port: number;
  readonly statusPort: number;
};

/** Runs until `q`, Ctrl-C or SIGTERM. Returns the exit code. */
export async function demo({ port, statusPort }: DemoOptions): Promise<number> {
  const output = terminal();
  const { stopped, stop } = untilSignal();
  const host = '127.0.0.1';
  const taken = await checkListen([{ host, port }], [{ host, port: statusPort }]);
  if (taken) {
    explainFailure(taken, output);
    output.error('    choose other ports for the demo with --port and --status-port; 0 chooses a free one');
    return EXIT.FAILED;
  }
  const folder = temporaryFolder();
  const backends: Backend[] = [];
  let server: RunningServer | undefined;
  try {
    await startBackends(backends);
    const own = { DEMO_PORT: port, DEMO_STATUS_PORT: statusPort, DEMO_STATE_DIR: folder.path };
    const input = {
      ...loadInputFor(demoFile('pharos.yaml')),
      env: { ...process.env, ...demoVariables(own, backends) },
    };
    const log = plainLog((line) => {
      tell(output, line);
    });
    server = await runServer(input, () => Promise.resolve(log), { givenUp: stopped });
    output.out(introduction(server, backends, output));
    await untilStopped(backends.map(toggleBackend), output, stopped, stop);
    return EXIT.OK;
  } catch (error) {
    if (error instanceof GivenUpError) return EXIT.OK;
    if (explainFailure(error, output)) return EXIT.FAILED;
    throw error;
  } finally {
    await server?.stop();
    await Promise.all(backends.map((backend) => backend.close()));
    folder.remove();
  }
}

function introduction(server: RunningServer, backends: readonly Backend[], output: Output): string {
  const { style } = output;
  const port = server.addresses[0]?.port ?? 0;
  const api = server.status ? `http://${formatEndpoint(server.status)}` : '';
  const dig = CLIENTS.map((client) => {
    return `${digLines(port, client)}\n      ${style('dim', `# ${client.place}: ${client.answer}`)}`;
  });
  const control = backends.map(({ region, port: backendPort }, index) => {
    return `  ${region.padEnd(8)}  key ${index + 1}, or  curl -X POST http://127.0.0.1:${backendPort}/fail   (or /recover)`;
  });
  return [
    '',
    style('bold', 'Pharos demo: three regions on this machine and a server that steers clients'),
    `Status page, for a browser: ${style('bold', `${api}/`)}`,
    '',
    `Ask from another terminal, as clients of three countries:`,
    ...dig,
    '',
    'Make a region fail and ask again, then let it recover:',
    ...control,
    '',
    'Show the reason for an answer:',
    `  ${commandName()} explain www.example.com --country KR --api ${api}`,
    'Show what is up:',
    `  curl ${api}/`,
    '',
    endLine(output),
    '',
  ].join('\n');
}
