/**
 * `pharos events`: shows past events of running servers, and with `--follow` also new ones, across restarts of the
 * servers.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isRecord } from '../config/unknown-values.ts';
import { callApi, openEvents, shownUrl, type Api } from './api-client.ts';
import { aboutServer, reachAll, repliesJson, type ReachAllOptions, type ServerReply } from './find-server.ts';
import { EXIT, fail, table, type Output, type Style } from './output.ts';

/** `follow`: wait for new events until `signal`. */
export type EventsOptions = ReachAllOptions & {
  readonly follow: boolean;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

/** The shown parts of an event of the API. */
type ShownEvent = { readonly id: string; readonly at: string; readonly kind: string; readonly message: string };

const PATH = '/api/v1/events';
/** The delay between two attempts to reach a server that is restarting. */
const RETRY_MS = 1000;

/** Exit code 1 if no server replied, or without `follow` if one did not. */
export async function runEvents(options: EventsOptions, output: Output): Promise<number> {
  const found = reachAll(options);
  if (!found.ok) return fail('events', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { apis } = found;
  const { signal, follow, json } = options;
  const past = await Promise.all(apis.map((api) => recentOf(api, signal)));
  if (signal.aborted) return EXIT.OK;
  const failed = past.filter((each) => !each.ok);
  for (const { api, message } of failed) fail('events', aboutServer(message, api, apis.length), EXIT.FAILED, output);
  if (failed.length === apis.length) return EXIT.FAILED;
  const show = printer(apis.length > 1, options, output);
  const events = past
    .flatMap(({ api, ...each }) => (each.ok ? each.events.map((event) => ({ api, event })) : []))
    .sort((a, b) => (a.event.at < b.event.at ? -1 : a.event.at > b.event.at ? 1 : 0));
  if (!follow && json) {
    const replies = past.map((each): ServerReply => (each.ok ? { ...each, value: each.events } : each));
    const [first] = replies;
    const value = replies.length > 1 ? { servers: repliesJson(replies) } : first?.ok === true ? first.value : [];
    output.out(JSON.stringify(value, undefined, 2));
  } else for (const { api, event } of events) show(api, event);
  if (!follow) return failed.length === 0 ? EXIT.OK : EXIT.FAILED;
  const note = (text: string): void => {
    output.error(output.styleError('yellow', text));
  };
  await Promise.all(
    past.map((each) => {
      const last = each.ok ? each.events.at(-1)?.id : undefined;
      return followServer(each.api, last, { show, note, signal, isLost: !each.ok });
    }),
  );
  return EXIT.OK;
}

type Recent = { readonly api: Api } & (
  { readonly ok: true; readonly events: readonly ShownEvent[] } | { readonly ok: false; readonly message: string }
);

async function recentOf(api: Api, signal: AbortSignal): Promise<Recent> {
  const reply = await callApi(api, 'GET', PATH, undefined, signal);
  if (!reply.ok) return { api, ok: false, message: reply.message };
  const { value } = reply;
  if (Array.isArray(value) && value.every(isEvent)) return { api, ok: true, events: value };
  return { api, ok: false, message: `${shownUrl(api)} is not a Pharos server of this version` };
}

type Following = {
  readonly show: (api: Api, event: ShownEvent) => void;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
  /** Whether it was already reported that the server does not respond. */
  readonly isLost: boolean;
};

/**
 * Follows one server until `signal`. After a restart it does not know the id of the last event, and sends all events of
 * its new run.
 */
async function followServer(api: Api, from: string | undefined, following: Following): Promise<void> {
  const { show, note, signal } = following;
  let { isLost } = following;
  let last = from;
  const isStopped = (): boolean => signal.aborted;
  while (!isStopped()) {
    const stream = await openEvents(api, PATH, last, signal);
    if (stream.ok) {
      if (isLost) note(`Connected to ${shownUrl(api)} again.`);
      isLost = false;
      for await (const data of stream.data) {
        const event = parseEvent(data);
        if (event === undefined) continue;
        last = event.id;
        show(api, event);
      }
    }
    if (isStopped()) return;
    const why = stream.ok ? `lost the connection to ${shownUrl(api)}` : stream.message;
    if (!isLost) note(`${why}; trying again until Ctrl-C`);
    isLost = true;
    await pause(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

const COLOURS: ReadonlyMap<string, Style> = new Map([
  ['alarm', 'red'],
  ['override', 'cyan'],
  ['weight', 'cyan'],
]);

/** Prints one event: a line of text, or with --json one line of JSON. `several`: with its server. */
function printer(several: boolean, { json }: EventsOptions, output: Output): Following['show'] {
  return (api, event) => {
    const url = shownUrl(api);
    if (json) {
      output.out(JSON.stringify(several ? { api: url, ...event } : event));
      return;
    }
    const colour = COLOURS.get(event.kind);
    const kind = event.kind.padEnd(8);
    const time = `${event.at.slice(0, 10)} ${event.at.slice(11, 19)} UTC`;
    const painted = colour === undefined ? kind : output.style(colour, kind);
    output.out(table([[time, ...(several ? [url] : []), painted, event.message]]));
  };
}

function parseEvent(data: string): ShownEvent | undefined {
  try {
    const value = JSON.parse(data) as unknown;
    return isEvent(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isEvent(value: unknown): value is ShownEvent {
  return isRecord(value) && ['id', 'at', 'kind', 'message'].every((key) => typeof value[key] === 'string');
}
