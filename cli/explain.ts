/**
 * `pharos explain NAME [TYPE]`: the whole decision for one client, from files or from a running server.
 */
import { isTraceDocument, traceDocument, type TraceDocument } from '../status/trace-document.ts';
import type { Explained, ExplainRequest } from '../steering/trace.ts';
import { apiAt, callApi } from './api-client.ts';
import { EXIT, fail, type Output } from './output.ts';
import { startProgress } from './progress.ts';
import { renderTrace } from './render-trace.ts';

/** Without `api`, the files of `config` are used. */
export type ExplainOptions = {
  readonly request: ExplainRequest;
  readonly config: string | undefined;
  readonly api: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
};

const FROM_FILES =
  'From files: health is unknown, so every VIP counts as not yet probed. `--api URL` asks a running server.';

/** A message if the command line does not say which client asks. */
export function missingClient(request: ExplainRequest): string | undefined {
  const { client, country, at, resolver } = request;
  if (client ?? country ?? at ?? resolver) return undefined;
  return 'Missing --client, --country, --at or --resolver';
}

export async function explain(options: ExplainOptions, output: Output): Promise<number> {
  const missing = missingClient(options.request);
  if (missing !== undefined) return fail('explain', missing, EXIT.USAGE, output);
  const found =
    options.api === undefined ? await fromFiles(options, output) : await fromServer(options.api, options, output);
  if (typeof found === 'number') return found;
  if (options.json) {
    output.out(JSON.stringify(found, undefined, 2));
  } else {
    output.out(renderTrace(found, output.style));
    if (options.api === undefined && found.service !== null) output.out(`\n${output.style('yellow', FROM_FILES)}`);
  }
  return EXIT.OK;
}

/** The trace. On failure prints the reason and returns the exit code. */
async function fromFiles(options: ExplainOptions, output: Output): Promise<TraceDocument | number> {
  // Imported only here: asking a running server needs none of these modules.
  const [{ loadOrExplain, READING_FILES }, { explainFrom }] = await Promise.all([
    import('./check.ts'),
    import('../server/explain/explain-answer.ts'),
  ]);
  using _progress = startProgress([READING_FILES], output);
  const generation = loadOrExplain(options.config, output);
  if (!generation) return EXIT.FAILED;
  const explained: Explained = explainFrom(generation, options.request);
  if (explained.ok) return traceDocument(explained.trace);
  return fail('explain', explained.message, exitFor(explained.parameter), output);
}

async function fromServer(url: string, options: ExplainOptions, output: Output): Promise<TraceDocument | number> {
  const found = apiAt(url, options.token);
  if (!found.ok) return fail('explain', found.message, EXIT.USAGE, output);
  const reply = await callApi(found.api, 'GET', `/api/v1/explain?${query(options.request).toString()}`);
  if (!reply.ok)
    return fail(
      'explain',
      reply.message,
      reply.status === 400 ? exitFor(parameterOf(reply.problem)) : EXIT.FAILED,
      output,
    );
  if (isTraceDocument(reply.value)) return reply.value;
  return fail('explain', `${url} did not return a trace; is it a Pharos server of this version?`, EXIT.FAILED, output);
}

/** An unknown name or target is a failure; other parameters are wrong usage. */
function exitFor(parameter: string): number {
  return parameter === 'name' || parameter === 'down' ? EXIT.FAILED : EXIT.USAGE;
}

function parameterOf(problem: unknown): string {
  if (typeof problem !== 'object' || problem === null || !('parameter' in problem)) return '';
  return typeof problem.parameter === 'string' ? problem.parameter : '';
}

function query(request: ExplainRequest): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(request)) {
    for (const one of typeof value === 'string' ? [value] : value) parameters.append(key, one);
  }
  return parameters;
}
