/**
 * `pharos simulate --down TARGET`: what share of the clients moves where, from files or from a running server.
 */
import type { SimulateRequest, Simulation } from '../server/forecast/simulate-failure.ts';
import { apiAt, callApi } from './api-client.ts';
import { EXIT, fail, type Output } from './output.ts';
import { renderSimulation } from './render-simulation.ts';

/** `api` undefined: from the files of `config`. `all`: every country and move, not only the largest. */
export type SimulateOptions = {
  readonly request: SimulateRequest;
  readonly config: string | undefined;
  readonly api: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
  readonly all: boolean;
};

const FROM_FILES =
  'From files: no health is known, so every other VIP counts as up. `--api URL` asks a running server.';

export async function simulate(options: SimulateOptions, output: Output): Promise<number> {
  if (options.request.down.length === 0) {
    return fail(
      'simulate',
      'what fails? give --down TARGET: www.example.com/seoul-a, www.example.com/@seoul, @seoul',
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

/** The simulation, or the exit code once the reason has been said. */
async function fromFiles(options: SimulateOptions, output: Output): Promise<Simulation | number> {
  // Only here: asking a running server needs no readers, compilers or databases.
  const [{ loadOrExplain }, { simulateFrom }] = await Promise.all([
    import('./check.ts'),
    import('../server/forecast/simulate-failure.ts'),
  ]);
  const generation = loadOrExplain(options.config, output);
  if (!generation) return EXIT.FAILED;
  const simulated = simulateFrom(generation, options.request);
  return simulated.ok ? simulated.simulation : fail('simulate', simulated.message, EXIT.FAILED, output);
}

async function fromServer(url: string, options: SimulateOptions, output: Output): Promise<Simulation | number> {
  const found = apiAt(url, options.token);
  if (!found.ok) return fail('simulate', found.message, EXIT.USAGE, output);
  const reply = await callApi(found.api, 'POST', '/api/v1/simulate', options.request);
  if (!reply.ok) return fail('simulate', reply.message, EXIT.FAILED, output);
  if (isSimulation(reply.value)) return reply.value;
  const message = `${url} answered with something that is not a simulation: is that a Pharos of this version?`;
  return fail('simulate', message, EXIT.FAILED, output);
}

/** Whether a value from the network has the shape, as far as rendering goes into it. */
function isSimulation(value: unknown): value is Simulation {
  if (typeof value !== 'object' || value === null) return false;
  const { down, targets, services } = value as Readonly<Record<string, unknown>>;
  return Array.isArray(down) && Array.isArray(targets) && Array.isArray(services);
}
