/**
 * A status document as tables, for a person who was woken by it: what is wrong first, then a table a service.
 */
import type { ServiceDocument, StatusDocument } from '../status/status-document.ts';
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
    ({ code, message, since }) => `${paint('red', `ALARM ${code}`)} for ${age(since, nowMs)}: ${message}`,
  );
  const services = document.services.map((service) => serviceTable(service, view, paint));
  const nothing = services.length === 0 ? ['No service is steered here.'] : services;
  return [[head, ...alarms].join('\n'), ...nothing].join('\n\n');
}

function serviceTable(service: ServiceDocument, { document, before, nowMs }: StatusView, paint: Paint): string {
  const vips = document.vips.filter((vip) => vip.service === service.name);
  const earlier = before?.started_at === document.started_at ? before : undefined;
  const served = vips.map(({ target, served: count }) => {
    const last = earlier?.vips.find((vip) => vip.target === target);
    return count - (last?.served ?? 0);
  });
  const sum = served.reduce((total, count) => total + count, 0);
  const { vips: all, vips_available: available, ttl } = service;
  const colour = available === 0 ? 'red' : available < all ? 'yellow' : 'green';
  const seconds = ttl.min === ttl.max ? `${ttl.min}` : `${ttl.min} to ${ttl.max}`;
  const title = `${paint('bold', service.name)}  ${paint(colour, `${available} of ${all} available`)}, TTL ${seconds} s`;
  const head = ['VIP', 'REGION', 'STATE', 'FOR', 'WEIGHT', earlier ? 'SERVED NOW' : 'SERVED', 'WHY'];
  const rows = vips.map((vip, index) => [
    vip.vip,
    vip.region ?? '-',
    stateOf(vip, paint),
    ageOf(vip, nowMs),
    weightOf(vip, paint),
    sum === 0 ? '-' : `${(((served[index] ?? 0) / sum) * 100).toFixed(1)} %`,
    whyOf(vip, nowMs),
  ]);
  const lines = table([head.map((cell) => paint('dim', cell)), ...rows]).split('\n');
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** What counts, and what the probes say where somebody said otherwise: `drain (probed up)`. */
function stateOf({ override, probed, effective, check }: VipDocument, paint: Paint): string {
  if (override !== null) return paint('yellow', `${override.state} (probed ${probed})`);
  if (check === null) return 'not checked';
  return paint(effective === 'up' ? 'green' : effective === 'down' ? 'red' : 'yellow', effective);
}

function ageOf({ override, since }: VipDocument, nowMs: number): string {
  const from = override?.since ?? since;
  return from === null ? '-' : age(from, nowMs);
}

function weightOf({ weight, file_weight: fileWeight, weight_override: set }: VipDocument, paint: Paint): string {
  return set === null ? String(weight) : paint('yellow', `${weight} (file ${fileWeight})`);
}

function whyOf(vip: VipDocument, nowMs: number): string {
  const { override, last_result: last, weight_override: set, ramp, load, shed } = vip;
  const parts: string[] = [];
  if (override !== null) {
    const { reason, until, by, safe_at: safeAt } = override;
    parts.push(reason ?? `by ${by === 'schedule' ? 'a schedule' : 'an operator'}`);
    if (until !== null) parts.push(`${lasting((Date.parse(until) - nowMs) / 1000)} left`);
    if (safeAt !== null) {
      const leftMs = Date.parse(safeAt) - nowMs;
      parts.push(leftMs <= 0 ? 'safe to stop' : `safe to stop in ${lasting(leftMs / 1000)}`);
    } else if (override.state === 'drain') parts.push('still answered with');
  } else if (last !== null) parts.push(last.reason);
  if (set?.reason) parts.push(`weight: ${set.reason}`);
  if (ramp < 1) parts.push(`ramps: ${percent(ramp)} of its weight`);
  if (load !== null) parts.push(`load ${percent(load)}${shed > 0 ? `, sheds ${percent(shed)} of its clients` : ''}`);
  return parts.join(', ');
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function age(iso: string, nowMs: number): string {
  return lasting((nowMs - Date.parse(iso)) / 1000);
}

/** `12 s`, `3 min`, `5 h`, `2 d`: one unit, as it is read in passing. */
function lasting(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}
