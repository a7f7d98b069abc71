/**
 * A status document as text: alarms first, then a table per service, the worst service first.
 */
import { heardWords } from '../status/fleet-document.ts';
import type { ServiceDocument, StatusDocument } from '../status/status-document.ts';
import type { VipDocument } from '../status/vip-fields.ts';
import {
  age,
  ageWords,
  describeWeight,
  lasting,
  stateWords,
  trafficWords,
  urgencyOf,
  whyWords,
  worstFirst,
} from '../status/vip-words.ts';
import { table, type Output } from './output.ts';

/** `before`: an earlier document of the same server, so that the split covers the answers since then. */
export type StatusView = {
  readonly document: StatusDocument;
  readonly before: StatusDocument | undefined;
  readonly url: string;
  readonly nowMs: number;
};

/** The lines, the most urgent first. */
export type StatusLines = {
  readonly head: readonly string[];
  readonly alarms: readonly string[];
  readonly services: readonly ServiceLines[];
};

/** `head` is the title and the names of the columns; `vips` has a line for each VIP. */
export type ServiceLines = {
  readonly head: readonly string[];
  readonly vips: readonly string[];
  readonly foot: readonly string[];
};

type Paint = Output['style'];

export function renderStatus(view: StatusView, paint: Paint): string {
  const { head, alarms, services } = statusLines(view, paint);
  const tables = services.map((service) => [...service.head, ...service.vips, ...service.foot].join('\n'));
  const nothing = tables.length === 0 ? ['No service is steered here.'] : tables;
  return [[...head, ...alarms].join('\n'), ...nothing].join('\n\n');
}

export function statusLines(view: StatusView, paint: Paint): StatusLines {
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
  const services = document.services
    .map((service) => ({ service, own: vips.get(service.name) ?? [] }))
    // The worst first; among equals, the order of the files.
    .sort((a, b) => urgencyOf(a.own) - urgencyOf(b.own))
    .map(({ service, own }) => serviceLines(service, { vips: worstFirst(own), before, nowMs }, paint));
  return {
    head: [head, trafficWords(document.traffic), ...fleetWords(document, paint), ...signingWords(document)],
    alarms,
    services,
  };
}

/** `Fleet prod: ams1 (dublin), 3 of 3 nodes heard`; nothing without a fleet. */
function fleetWords({ fleet }: StatusDocument, paint: Paint): readonly string[] {
  // A server of an earlier version does not report this.
  if (!fleet) return [];
  const { text, isWell } = heardWords(fleet);
  const colour = fleet.alone ? 'red' : isWell ? 'green' : 'yellow';
  return [`Fleet ${fleet.name}: ${fleet.node} (${fleet.region}), ${paint(colour, text)}`];
}

/** `example.com is being signed: 350,000 of 2,000,000 signatures`. */
function signingWords({ zones }: Partial<StatusDocument>): readonly string[] {
  // A server of an earlier version does not report this.
  return (zones ?? []).flatMap(
    ({ name, signing }) =>
    signing ? `${name} is being signed: ${signing.made.toLocaleString('en')} of ${signing.total.toLocaleString('en')} signatures` : [], // prettier-ignore
  );
}

/** `before`: answers by target at the time of the previous report. */
type ServiceView = {
  readonly vips: readonly VipDocument[];
  readonly before: ReadonlyMap<string, number> | undefined;
  readonly nowMs: number;
};

function serviceLines(service: ServiceDocument, { vips, before, nowMs }: ServiceView, paint: Paint): ServiceLines {
  const served = vips.map(({ target, served: count, served_last_minute: lately }) =>
    before === undefined ? lately : count - (before.get(target) ?? 0),
  );
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
  const [columns = '', ...lines] = table([head.map((cell) => paint('dim', cell)), ...rows])
    .split('\n')
    .map((line) => `  ${line}`);
  return { head: [title, columns], vips: lines, foot: clientsLine(service) };
}

/** With fewer answers, a share is mostly chance. */
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
