/**
 * `pharos status`: health, overrides, weights and split of answers of a running server, once or repeatedly.
 */
import { isStatusDocument, type StatusDocument } from '../status/status-document.ts';
import { callApi, shownUrl, type Api } from './api-client.ts';
import { reach, type ReachOptions } from './find-server.ts';
import { EXIT, fail, type Output } from './output.ts';
import { renderStatus, statusLines, type StatusView } from './render-status.ts';
import { fitLines, type Screen } from './watch-screen.ts';

/** `service`: only this one. `watch`: repeat every `intervalMs`, until `signal`. */
export type StatusCommandOptions = ReachOptions & {
  readonly service: string | undefined;
  readonly watch: boolean;
  readonly intervalMs: number;
  readonly json: boolean;
  /** A screen on which each report replaces the previous one; without it they are printed one after the other. */
  readonly screen: Screen | undefined;
  readonly signal: AbortSignal;
};

export async function runStatus(options: StatusCommandOptions, output: Output): Promise<number> {
  const found = reach(options);
  if (!found.ok) return fail('status', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { watch, signal } = options;
  const shown = options.json ? undefined : options.screen;
  let before: StatusDocument | undefined;
  let view: StatusView | undefined;
  let missed: string | undefined;
  const draw = (): void => {
    if (view && shown) shown.draw(fitLines(statusLines(view, output.style), shown.size(), output.style, missed));
  };
  shown?.onResize(draw);
  try {
    for (;;) {
      const looked = await look(found.api, options);
      if (signal.aborted) return EXIT.OK;
      if (!looked.ok) {
        // The server may be restarting.
        if (!watch || before === undefined) return fail('status', looked.message, EXIT.FAILED, output);
        missed = `Showing the last report: ${looked.message}`;
        if (view) view = { ...view, nowMs: Date.now() };
        if (!shown) fail('status', looked.message, EXIT.FAILED, output);
      } else {
        const { document } = looked;
        missed = undefined;
        view = { document, before, url: shownUrl(found.api), nowMs: Date.now() };
        if (options.json) output.out(JSON.stringify(document, undefined, watch ? undefined : 2));
        else if (!shown) output.out(`${renderStatus(view, output.style)}${watch ? '\n' : ''}`);
        before = document;
      }
      draw();
      if (!watch || !(await pause(options.intervalMs, signal))) return EXIT.OK;
    }
  } finally {
    shown?.close();
  }
}

type Looked =
  { readonly ok: true; readonly document: StatusDocument } | { readonly ok: false; readonly message: string };

/** The document, limited to one service if requested; or the reason of a failure. */
async function look(api: Api, { service, signal }: StatusCommandOptions): Promise<Looked> {
  const reply = await callApi(api, 'GET', '/api/v1/status', undefined, signal);
  if (!reply.ok) return { ok: false, message: reply.message };
  const { value } = reply;
  if (!isStatusDocument(value))
    return { ok: false, message: `${shownUrl(api)} is not a Pharos server of this version` };
  if (service === undefined) return { ok: true, document: value };
  const name = service.toLowerCase().replace(/\.$/, '');
  const services = value.services.filter((one) => one.name === name);
  if (services.length === 0) return { ok: false, message: `unknown service ${name}` };
  return { ok: true, document: { ...value, services, vips: value.vips.filter((vip) => vip.service === name) } };
}

/** Resolves to false as soon as `signal` is aborted. */
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
