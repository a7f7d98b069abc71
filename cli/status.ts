/**
 * `pharos status`: health, overrides, weights and served split of a running server, once or again and again.
 */
import { isStatusDocument, type StatusDocument } from '../status/status-document.ts';
import { callApi, type Api } from './api-client.ts';
import { EXIT, fail, type Output } from './output.ts';
import { reach, type ReachOptions } from './find-server.ts';
import { renderStatus } from './render-status.ts';

/** `service`: only this one. `watch`: again every `intervalMs`, until `signal`. */
export type StatusCommandOptions = ReachOptions & {
  readonly service: string | undefined;
  readonly watch: boolean;
  readonly intervalMs: number;
  readonly json: boolean;
  /** Whether each report takes the place of the one before, as on a terminal. */
  readonly redraw: boolean;
  readonly signal: AbortSignal;
};

/** ECMA-48: the cursor to the top left, and everything below it erased. */
const TOP = '\u001b[H\u001b[J';

export async function runStatus(options: StatusCommandOptions, output: Output): Promise<number> {
  const found = reach(options);
  if (!found.ok) return fail('status', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  let before: StatusDocument | undefined;
  for (;;) {
    const document = await look(found.api, options, output);
    if (typeof document === 'number') {
      // Once it was there, watching goes on: the server may be on its way back.
      if (!options.watch || before === undefined) return document;
    } else {
      if (options.json) output.out(JSON.stringify(document, undefined, options.watch ? undefined : 2));
      else {
        const text = renderStatus({ document, before, url: found.api.url, nowMs: Date.now() }, output.style);
        output.out(options.redraw ? `${TOP}${text}` : options.watch ? `${text}\n` : text);
      }
      before = document;
    }
    if (!options.watch || !(await pause(options.intervalMs, options.signal))) return EXIT.OK;
  }
}

/** The document, with one service alone where that is asked for; or the exit code once the reason has been said. */
async function look(api: Api, { service }: StatusCommandOptions, output: Output): Promise<StatusDocument | number> {
  const reply = await callApi(api, 'GET', '/api/v1/status');
  if (!reply.ok) return fail('status', reply.message, EXIT.FAILED, output);
  const { value } = reply;
  if (!isStatusDocument(value)) {
    return fail('status', `${api.url} did not answer as a Pharos of this version does`, EXIT.FAILED, output);
  }
  if (service === undefined) return value;
  const name = service.toLowerCase().replace(/\.$/, '');
  const services = value.services.filter((one) => one.name === name);
  if (services.length === 0) return fail('status', `no service is called ${name} there`, EXIT.FAILED, output);
  return { ...value, services, vips: value.vips.filter((vip) => vip.service === name) };
}

/** False as soon as `signal` says so. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
