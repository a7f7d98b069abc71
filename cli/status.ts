/**
 * `pharos status`: health, overrides, weights and split of answers of a running server, once or repeatedly.
 */
import { isStatusDocument, type StatusDocument } from '../status/status-document.ts';
import { callApi, shownUrl, type Api } from './api-client.ts';
import { aboutServer, reachAll, repliesJson, type ReachAllOptions, type ServerReply } from './find-server.ts';
import { EXIT, fail, type Output } from './output.ts';
import { renderStatus, statusLines, type StatusLines, type StatusView } from './render-status.ts';
import { fitLines, type Screen } from './watch-screen.ts';

/** `service`: only this one. `watch`: repeat every `intervalMs`, until `signal`. */
export type StatusCommandOptions = ReachAllOptions & {
  readonly service: string | undefined;
  readonly watch: boolean;
  readonly intervalMs: number;
  readonly json: boolean;
  /** A screen on which each report replaces the previous one; without it they are printed one after the other. */
  readonly screen: Screen | undefined;
  readonly signal: AbortSignal;
};

/** One of the servers: its last report, and the reason if the last request for a report failed. */
type Watched = {
  readonly api: Api;
  readonly view: StatusView | undefined;
  readonly missed: string | undefined;
};

/** With several servers, exit code 1 if one of them does not reply at first. */
export async function runStatus(options: StatusCommandOptions, output: Output): Promise<number> {
  const found = reachAll(options);
  if (!found.ok) return fail('status', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { watch, signal } = options;
  const { length: servers } = found.apis;
  const shown = options.json ? undefined : options.screen;
  let watched = found.apis.map((api): Watched => ({ api, view: undefined, missed: undefined }));
  const draw = (): void => {
    const screen = allLines(watched, output.style);
    if (screen && shown) shown.draw(fitLines(screen, shown.size(), output.style, missedWords(watched)));
  };
  shown?.onResize(draw);
  try {
    for (;;) {
      const before = watched;
      watched = await Promise.all(watched.map((server) => lookAgain(server, options)));
      if (signal.aborted) return EXIT.OK;
      const failed = watched.filter(({ missed }) => missed !== undefined);
      const isFirst = before.every(({ view }) => view === undefined);
      // Later, a server may be restarting.
      const gaveUp = failed.length === servers && (!watch || isFirst);
      if (!shown || gaveUp) {
        for (const { api, missed = '' } of failed)
          fail('status', aboutServer(missed, api, servers), EXIT.FAILED, output);
      }
      if (gaveUp) return EXIT.FAILED;
      if (options.json) printJson(watched, watch, output);
      else if (!shown) print(watched, watch, output);
      draw();
      if (!watch) return failed.length === 0 ? EXIT.OK : EXIT.FAILED;
      if (!(await pause(options.intervalMs, signal))) return EXIT.OK;
    }
  } finally {
    shown?.close();
  }
}

async function lookAgain({ api, view }: Watched, options: StatusCommandOptions): Promise<Watched> {
  const looked = await look(api, options);
  if (!looked.ok) return { api, view: view && { ...view, nowMs: Date.now() }, missed: looked.message };
  const { document } = looked;
  return {
    api,
    view: { document, before: view?.document, url: shownUrl(api), nowMs: Date.now() },
    missed: undefined,
  };
}

/** The reports of this round: those of servers that replied. */
function print(watched: readonly Watched[], watch: boolean, output: Output): void {
  const reports = watched.flatMap(({ view, missed }) =>
    view && missed === undefined ? [renderStatus(view, output.style)] : [],
  );
  if (reports.length > 0) output.out(`${reports.join('\n\n')}${watch ? '\n' : ''}`);
}

/** One server's document as the API has it. In a list of several, each has its `api`. */
function printJson(watched: readonly Watched[], watch: boolean, output: Output): void {
  const replies = watched.map(({ api, view, missed }): ServerReply =>
    missed === undefined ? { api, ok: true, value: view?.document } : { api, ok: false, message: missed },
  );
  const [first] = replies;
  const value = replies.length > 1 ? { servers: repliesJson(replies) } : first?.ok === true ? first.value : undefined;
  if (value !== undefined) output.out(JSON.stringify(value, undefined, watch ? undefined : 2));
}

/**
 * All servers on one screen; undefined before the first report. With several servers, each service names its server.
 */
function allLines(watched: readonly Watched[], paint: Output['style']): StatusLines | undefined {
  const views = watched.flatMap(({ view }) => view ?? []);
  const [first] = views;
  if (first === undefined || views.length === 1) return first && statusLines(first, paint);
  const lines = views.map((view) => {
    const { head, alarms, services } = statusLines(view, paint);
    const at = (line: string, index: number): string => (index === 0 ? `${line} (${view.url})` : line);
    return { head, alarms, services: services.map((service) => ({ ...service, head: service.head.map(at) })) };
  });
  return {
    head: lines.flatMap(({ head }) => head),
    alarms: lines.flatMap(({ alarms }) => alarms),
    services: lines.flatMap(({ services }) => services),
  };
}

function missedWords(watched: readonly Watched[]): string | undefined {
  const missed = watched.flatMap((server) => server.missed ?? []);
  return missed.length === 0 ? undefined : `Showing the last report: ${missed.join('; ')}`;
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
