/**
 * `GET /` as plain text: the state of the server on one screen, and the paths with more details.
 */
import { fileAndLine } from '../config/diagnostics.ts';
import { inTurns } from './assemble-reply.ts';
import { fleetLine, heardWords } from './fleet-document.ts';
import type { Runtime } from './runtime.ts';
import { serviceDocument, trafficDocument } from './status-document.ts';
import { trafficWords, urgencyOf } from './vip-words.ts';
import { vipStates, type VipState } from './vips.ts';

export async function overview(runtime: Runtime): Promise<string> {
  const { number, loadedAt, catalog, databases, warnings } = runtime.generation();
  const notReady = runtime.notReady();
  const last = runtime.lastReload();
  const states = await vipStates(runtime);
  const fleet = fleetLine(runtime);
  const uptime = Math.floor(runtime.uptimeSeconds());

  const ranked = catalog.services.map((info) => {
    const own = states.slice(info.firstSlot, info.firstSlot + info.vipCount);
    return { info, own, urgency: urgencyOf(own) };
  });
  // The worst first; among equals, the order of the files.
  ranked.sort((a, b) => a.urgency - b.urgency);
  const services: string[] = [];
  await inTurns(ranked, ({ info, own }) => {
    const service = serviceDocument(info, states);
    const notes = own.filter(isNotable).map(note);
    const more = notes.length > MAX_NOTES ? [...notes.slice(0, MAX_NOTES), '...'] : notes;
    const shown = more.length === 0 ? '' : `  (${more.join(', ')})`;
    services.push(`  ${service.name}  ${service.vips_available}/${service.vips} available${shown}`);
  });
  const zones = catalog.zones.map(
    (zone) => `  ${zone.name}  serial ${zone.serial}, ${zone.records} records, ${zone.services} services`,
  );
  const attributions = [...new Set(databases.map(({ attribution }) => attribution).filter((text) => text !== ''))];

  return `${[
    [
      `Pharos ${runtime.version}: ${notReady.length === 0 ? 'ready' : `not ready: ${notReady.join('; ')}`}`,
      `up for ${formatUptime(uptime)}, generation ${number} loaded ${loadedAt.toISOString()}`,
      trafficWords(trafficDocument(runtime.recent())),
      ...(fleet === null
        ? []
        : [`fleet ${fleet.name}, node ${fleet.node} (${fleet.region}): ${heardWords(fleet).text}`]),
      ...(last.ok ? [] : [`reload rejected at ${last.at.toISOString()}; still serving generation ${number}`]),
    ],
    titled(
      'Alarms',
      runtime.alarms().map(({ code, message, since }) => `  ${code}: ${message} (since ${since})`),
    ),
    titled('Services', services),
    titled('Zones', zones),
    titled(
      'Warnings',
      warnings.map(({ code, message, place }) => `  ${fileAndLine(place)}: ${code}: ${message}`),
    ),
    ['Paths', ...PATHS.map((path) => `  ${path}`)],
    attributions,
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

const PATHS = [
  '/healthz  /readyz       alive, ready',
  '/metrics                for Prometheus',
  '/api/v1/status          the whole state, as JSON',
  '/api/v1/health          the VIPs; /api/v1/health/{service} for one service',
  '/api/v1/explain         ?name=www.example.com&type=A&client=203.0.113.7',
  '/api/v1/fleet           the nodes of the fleet, and how they vote',
  '/api/v1/overrides       active overrides',
  '/api/v1/weights         weights set at run time',
  '/api/v1/events          recent events; with Accept: text/event-stream, a stream',
  '/api/v1/openapi.json    all paths, as an OpenAPI document',
];

/** The most VIPs named in the line of a service. */
const MAX_NOTES = 8;

/** Whether the VIP is not up, and is checked or overridden. A VIP without a check is always unknown. */
export function isNotable({ effective, health }: VipState): boolean {
  return effective !== 'up' && (health === undefined || health.checked || health.override !== undefined);
}

/** `seoul-a down` */
function note(state: VipState): string {
  return `${state.info.name} ${state.effective}`;
}

function titled(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines];
}

function formatUptime(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return days === 0 ? clock : `${days} d ${clock}`;
}
