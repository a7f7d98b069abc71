/**
 * A simulation as text: first how bad it is, then who gets how much more, then where whose clients go.
 */
import type { Simulation } from '../server/forecast/simulate.ts';
import type { Traffic } from '../server/forecast/traffic.ts';
import type { Output } from './output.ts';
import { percent, renderTraffic, titleOf, weighedBy } from './render-traffic.ts';

/** Lines without a final newline. `all` shows what is otherwise summed up. */
export function renderSimulation(simulation: Simulation, all: boolean, paint: Output['style']): string {
  const { down, targets, services, untouched } = simulation;
  const moving = services
    .filter(isConcerned)
    .toSorted((a, b) => newlyStranded(b) - newlyStranded(a) || b.moved - a.moved);
  const still = services.filter((service) => !isConcerned(service));
  const shown = all ? moving : moving.slice(0, MAX_SERVICES);
  const rest = moving[shown.length];
  const head = [
    `${paint('bold', `If ${down.join(' and ')} ${down.length === 1 ? 'fails' : 'fail'}`)}: ${listed(targets)}.`,
    ...(services.length === 0 ? [] : [`Clients are weighed by ${weighedBy(services)}.`]),
  ];
  return [
    head.join('\n'),
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

/** Services shown in full before the rest is counted. */
const MAX_SERVICES = 10;

function isConcerned(service: Traffic): boolean {
  return service.moved > 0 || service.ipv6 || newlyStranded(service) > 0;
}

/** What wakes somebody up: no VIP is left to these clients. */
function newlyStranded({ stranded }: Traffic): number {
  return Math.max(0, stranded.after - stranded.before);
}

function headline({ moved }: Traffic): string {
  return moved === 0 ? 'no client moves' : `${percent(moved)} of its clients move`;
}

/** VIPs beyond these are counted. */
const MAX_TARGETS = 5;

function listed(targets: readonly string[]): string {
  const shown = targets.slice(0, MAX_TARGETS).join(', ');
  return targets.length > MAX_TARGETS ? `${shown} and ${targets.length - MAX_TARGETS} more` : shown;
}
