/**
 * A simulation as text: outages first, then how much more each VIP gets, then which clients move where.
 */
import { percent } from '../config/units.ts';
import type { Simulation } from '../server/forecast/simulate-failure.ts';
import type { Traffic } from '../server/forecast/traffic.ts';
import type { Output } from './output.ts';
import { renderTraffic, titleOf, weightedBy } from './render-traffic.ts';

/** Lines without a final newline. `all`: show every line. */
export function renderSimulation(simulation: Simulation, all: boolean, paint: Output['style']): string {
  const { targets, services, untouched } = simulation;
  const moving = services
    .filter(isConcerned)
    .toSorted((a, b) => newlyStranded(b) - newlyStranded(a) || b.moved - a.moved);
  const still = services.filter((service) => !isConcerned(service));
  const shown = all ? moving : moving.slice(0, MAX_SERVICES);
  const rest = moving[shown.length];
  const head = [
    `${paint('bold', ifWords(simulation))}: ${listed(targets)}.`,
    ...(services.length === 0 ? [] : [`Clients are weighted by ${weightedBy(services)}.`]),
  ];
  return [
    [...outageLines(services, paint), ...head].join('\n'),
    ...shown.map((service) => renderTraffic(service, { title: headline, before: 'NOW', after: 'THEN', all }, paint)),
    ...(rest === undefined
      ? []
      : [
          `${moving.length - shown.length} more, where at most ${percent(rest.moved)} of the clients move: --all shows them.`,
        ]),
    ...(still.length === 0 ? [] : [`Nothing moves at ${listed(still.map(titleOf))}: no client is sent there now.`]),
    ...(untouched === 0 ? [] : [`${untouched} ${untouched === 1 ? 'service has' : 'services have'} no VIP there.`]),
  ].join('\n\n');
}

/** A server of an earlier version has no `order`. */
function ifWords({ down, order }: Pick<Simulation, 'down'> & Partial<Simulation>): string {
  if (!order) return `If ${down.join(' and ')} ${down.length === 1 ? 'fails' : 'fail'}`;
  const { target } = order;
  if ('weight' in order) {
    return `If ${target} gets ${order.weight === null ? 'the weight of the zone file' : `weight ${order.weight}`}`;
  }
  const words = { drain: 'is drained', down: 'is forced down', up: 'is forced up', auto: 'has no override' };
  return `If ${target} ${words[order.state]}`;
}

/**
 * Outages: clients that had a VIP and then have none. If all services have the same share it is one line, else one line
 * per service.
 */
function outageLines(services: readonly Traffic[], paint: Output['style']): readonly string[] {
  const concerned = services
    .filter((service) => newlyStranded(service) > 0)
    .toSorted((a, b) => newlyStranded(b) - newlyStranded(a));
  const [worst] = concerned;
  if (worst === undefined) return [];
  const share = (service: Traffic): string => outageShare(newlyStranded(service));
  if (concerned.length === 1 || share(worst) === share(concerned.at(-1) ?? worst)) {
    return [paint('red', `OUTAGE for ${share(worst)} of clients: ${listed(concerned.map(titleOf))}`), ''];
  }
  return [
    ...concerned
      .slice(0, MAX_SERVICES)
      .map((service) => paint('red', `OUTAGE for ${share(service)} of clients: ${titleOf(service)}`)),
    ...(concerned.length > MAX_SERVICES ? [`and for clients of ${concerned.length - MAX_SERVICES} more services`] : []),
    '',
  ];
}

/** `100 %` only for all. */
function outageShare(share: number): string {
  const text = percent(share);
  return text === '100 %' && share < 1 - 1e-6 ? '>99.9 %' : text;
}

/** Services that are shown; the rest is counted. */
const MAX_SERVICES = 10;

function isConcerned(service: Traffic): boolean {
  return service.moved > 0 || service.ipv6 || newlyStranded(service) > 0;
}

/** Share of the clients that had a VIP and then have none. */
function newlyStranded({ stranded }: Traffic): number {
  return Math.max(0, stranded.after - stranded.before);
}

function headline(traffic: Traffic): string {
  const { moved } = traffic;
  const outage = newlyStranded(traffic);
  if (outage > 0) return `no VIP is left for ${outageShare(outage)} of its clients`;
  return moved === 0 ? 'no client moves' : `${percent(moved)} of its clients move`;
}

/** VIPs that are named; the rest is counted. */
const MAX_TARGETS = 5;

function listed(targets: readonly string[]): string {
  const shown = targets.slice(0, MAX_TARGETS).join(', ');
  return targets.length > MAX_TARGETS ? `${shown} and ${targets.length - MAX_TARGETS} more` : shown;
}
