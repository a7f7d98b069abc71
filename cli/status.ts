/**
 * `pharos status`: health, overrides, weights and served split of a running server, once or again and again.
 */
import { isStatusDocument, type StatusDocument } from '../status/status-document.ts';
import { callApi, shownUrl, type Api } from './api-client.ts';
import { EXIT, fail, type Output } from './output.ts';
import { reach, type ReachOptions } from './find-server.ts';
import { renderStatus, statusLines, type StatusView } from './render-status.ts';
import { fitLines, type Screen } from './watch-screen.ts';

/** `service`: only this one. `watch`: again every `intervalMs`, until `signal`. */
export type StatusCommandOptions = ReachOptions & {
  readonly service: string | undefined;
  readonly watch: boolean;
  readonly intervalMs: number;
  readonly json: boolean;
  /** Where each report takes the place of the one before; undefined where they follow each other. */
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
        // A server that was there before may be on its way back.
        if (!watch || before === undefined) return fail('status', looked.message, EXIT.FAILED, output);
        missed = `Shown is the last report: ${looked.message}`;
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

/** The document, with one service alone where that is asked for; or why there is none. */
async function look(api: Api, { service, signal }: StatusCommandOptions): Promise<Looked> {
  const reply = await callApi(api, 'GET', '/api/v1/status', undefined, signal);
  if (!reply.ok) return { ok: false, message: reply.message };
  const { value } = reply;
  if (!isStatusDocument(value))
    return { ok: false, message: `${shownUrl(api)} is not a Pharos server of this version` };
  if (service === undefined) return { ok: true, document: value };
  const name = service.toLowerCase().replace(/\.$/, '');
  const services = value.services.filter((one) => one.name === name);
  if (services.length === 0) return { ok: false, message: `no service is called ${name} there` };
  return { ok: true, document: { ...value, services, vips: value.vips.filter((vip) => vip.service === name) } };
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
