/**
 * A status document as tables, for a person who was woken by it: what is wrong first, then a table a service.
 */
import type { ServiceDocument, StatusDocument } from '../status/status-document.ts';
import { age, ageWords, lasting, stateWords, describeWeight, whyWords } from '../status/vip-words.ts';
import type { VipDocument } from '../status/vips.ts';
import { table, type Output } from './output.ts';

/** `before`: an earlier document of the same server, so that the split is of what was served since. */
export type StatusView = {
  readonly document: StatusDocument;
  readonly before: StatusDocument | undefined;
  readonly url: string;
  readonly nowMs: number;
};

type Paint = Output['style'];

export function renderStatus(view: StatusView, paint: Paint): string {
  const { document, url, nowMs } = view;
  const ready = document.ready ? paint('green', 'ready') : paint('red', `not ready: ${document.not_ready.join('; ')}`);
  const head = `${paint('bold', `Pharos ${document.build.version}`)} at ${url}: ${ready}, generation ${document.generation}, up ${lasting(document.uptime_seconds)}`;
  const alarms = document.alarms.map(
    ({ code, severity, message, since }) =>
      `${paint(severity === 'critical' ? 'red' : 'yellow', `ALARM ${code}`)} for ${age(since, nowMs)}: ${message}`,
  );
  const vips = Map.groupBy(document.vips, ({ service }) => service);
  const earlier = view.before?.started_at === document.started_at ? view.before : undefined;
  const before = earlier && new Map(earlier.vips.map(({ target, served }) => [target, served]));
  const services = document.services.map((service) =>
    serviceTable(service, { vips: vips.get(service.name) ?? [], before, nowMs }, paint),
  );
  const nothing = services.length === 0 ? ['No service is steered here.'] : services;
  return [[head, ...alarms].join('\n'), ...nothing].join('\n\n');
}

/** `before`: how often VIPs had been answered with by the report before, by target. */
type ServiceView = {
  readonly vips: readonly VipDocument[];
  readonly before: ReadonlyMap<string, number> | undefined;
  readonly nowMs: number;
};

function serviceTable(service: ServiceDocument, { vips, before, nowMs }: ServiceView, paint: Paint): string {
  const served = vips.map(({ target, served: count }) => count - (before?.get(target) ?? 0));
  const sum = served.reduce((total, count) => total + count, 0);
  const { vips: all, vips_available: available, ttl } = service;
  const colour = available === 0 ? 'red' : available < all ? 'yellow' : 'green';
  const seconds = ttl.min === ttl.max ? `${ttl.min}` : `${ttl.min} to ${ttl.max}`;
  const title = `${paint('bold', service.name)}  ${paint(colour, `${available} of ${all} available`)}, TTL ${seconds} s`;
  const head = ['VIP', 'REGION', 'STATE', 'FOR', 'WEIGHT', before ? 'SERVED NOW' : 'SERVED', 'WHY'];
  const rows = vips.map((vip, index) => [
    vip.vip,
    vip.region ?? '-',
    paintedState(vip, paint),
    ageWords(vip, nowMs),
    vip.weight_override === null ? describeWeight(vip) : paint('yellow', describeWeight(vip)),
    sum === 0 ? '-' : `${(((served[index] ?? 0) / sum) * 100).toFixed(1)} %`,
    whyWords(vip, nowMs),
  ]);
  const lines = table([head.map((cell) => paint('dim', cell)), ...rows]).split('\n');
  return [title, ...lines.map((line) => `  ${line}`), ...clientsLine(service)].join('\n');
}

/** Below this, a share says more of chance than of clients. */
const MIN_SAMPLES = 100;
/** Countries named below a service's table. */
const MAX_COUNTRIES = 5;

/** `clients: KR 61.2 %, JP 20.1 %, others 18.7 %` */
function clientsLine({ clients: { countries, rest, samples } }: ServiceDocument): string[] {
  if (countries.length === 0 || samples < MIN_SAMPLES) return [];
  const shown = countries.slice(0, MAX_COUNTRIES).map(({ country, share }) => [country || 'unknown', share] as const);
  const others = countries.slice(MAX_COUNTRIES).reduce((sum, { share }) => sum + share, rest);
  const all = others > 0 ? [...shown, ['others', others] as const] : shown;
  return [`  clients: ${all.map(([country, share]) => `${country} ${(share * 100).toFixed(1)} %`).join(', ')}`];
}

const COLOURS = { good: 'green', bad: 'red', odd: 'yellow' } as const;

function paintedState(vip: VipDocument, paint: Paint): string {
  const { text, tone } = stateWords(vip);
  return tone === 'none' ? text : paint(COLOURS[tone], text);
}
