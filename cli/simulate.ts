/**
 * `pharos simulate --down TARGET`: which share of the clients moves where, from files or from a running server.
 */
import { isRecord } from '../config/unknown-values.ts';
import type { SimulateRequest, Simulation } from '../server/forecast/simulate-failure.ts';
import { apiAt, callApi } from './api-client.ts';
import { EXIT, fail, type Output } from './output.ts';
import { startProgress } from './progress.ts';
import { renderSimulation } from './render-simulation.ts';

/** Without `api`, the files of `config` are used. `all`: show every country and move, not only the largest. */
export type SimulateOptions = {
  readonly request: SimulateRequest;
  readonly config: string | undefined;
  readonly api: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
  readonly all: boolean;
};

const FROM_FILES = 'From files: health is unknown, so every other VIP counts as up. `--api URL` asks a running server.';

export async function simulate(options: SimulateOptions, output: Output): Promise<number> {
  if (options.request.down.length === 0) {
    return fail(
      'simulate',
      'Missing --down TARGET, such as www.example.com/seoul-a, www.example.com/@seoul or @seoul',
      EXIT.USAGE,
      output,
    );
  }
  const found =
    options.api === undefined ? await fromFiles(options, output) : await fromServer(options.api, options, output);
  if (typeof found === 'number') return found;
  if (options.json) {
    output.out(JSON.stringify(found, undefined, 2));
  } else {
    output.out(renderSimulation(found, options.all, output.style));
    if (options.api === undefined) output.out(`\n${output.style('yellow', FROM_FILES)}`);
  }
  return EXIT.OK;
}

/** The simulation. On failure prints the reason and returns the exit code. */
async function fromFiles(options: SimulateOptions, output: Output): Promise<Simulation | number> {
  // Imported only here: asking a running server needs none of these modules.
  const [{ loadOrExplain, READING_FILES }, { simulateFrom }] = await Promise.all([
    import('./check.ts'),
    import('../server/forecast/simulate-failure.ts'),
  ]);
  using progress = startProgress([READING_FILES, 'Simulating'], output);
  const generation = loadOrExplain(options.config, output);
  if (!generation) return EXIT.FAILED;
  progress.next();
  const simulated = simulateFrom(generation, options.request);
  return simulated.ok ? simulated.simulation : fail('simulate', simulated.message, EXIT.FAILED, output);
}

async function fromServer(url: string, options: SimulateOptions, output: Output): Promise<Simulation | number> {
  const found = apiAt(url, options.token);
  if (!found.ok) return fail('simulate', found.message, EXIT.USAGE, output);
  using _progress = startProgress(['Asking the server'], output);
  const reply = await callApi(found.api, 'POST', '/api/v1/simulate', options.request);
  if (!reply.ok) return fail('simulate', reply.message, EXIT.FAILED, output);
  if (isSimulation(reply.value)) return reply.value;
  const message = `${url} did not return a simulation; is it a Pharos server of this version?`;
  return fail('simulate', message, EXIT.FAILED, output);
}

/** Whether a value from the network has the properties that rendering uses. */
export function isSimulation(value: unknown): value is Simulation {
  if (!isRecord(value)) return false;
  const { down, targets, services } = value;
  return Array.isArray(down) && Array.isArray(targets) && Array.isArray(services);
}
