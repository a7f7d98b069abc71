/**
 * `GET /` for browsers: problems first, then every service with its VIPs. The server writes the page, so that it works
 * without scripts; `overview.ts` is the text for curl. If there are many services, those without problems have one line
 * each, and `?find=` shows the VIPs of matching services.
 */
import { fileAndLine } from '../config/diagnostics.ts';
import { groupThousands } from '../config/units.ts';
import type { ServiceInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import { fleetLine, fleetNodes, heardWords, type FleetNode } from './fleet-document.ts';
import { overrideDocuments } from './override-json.ts';
import { isNotable } from './overview.ts';
import { SCRIPT, STYLE } from './page-assets.ts';
import type { Runtime } from './runtime.ts';
import { trafficDocument } from './status-document.ts';
import { vipDocument } from './vip-fields.ts';
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
} from './vip-words.ts';
import { vipStates, type VipState } from './vips.ts';

/** Rows that a person can look through and a phone can display. */
const MAX_ROWS = 200;
/** Services listed without their VIPs. */
const MAX_NAMES = 1000;
const MAX_FIND_LETTERS = 255;

type Entry = {
  readonly service: ServiceInfo;
  readonly states: readonly VipState[];
  readonly isNotable: boolean;
  /** 0 is the worst. */
  readonly rank: number;
};

/** Adds the page. `find`: part of the name of services, VIPs or regions; empty for all. */
export async function writePage(runtime: Runtime, find: string, now: Date, octets: Octets): Promise<void> {
  const nowMs = now.getTime();
  const wanted = find.slice(0, MAX_FIND_LETTERS).trim().toLowerCase();
  const { catalog } = runtime.generation();
  const states = await vipStates(runtime);
  const entries: Entry[] = [];
  await inTurns(catalog.services, (service) => {
    const own = states.slice(service.firstSlot, service.firstSlot + service.vipCount);
    const entry = { service, states: own, isNotable: own.some(isNotable), rank: urgencyOf(own) };
    if (wanted === '' || isFound(entry, wanted)) entries.push(entry);
  });
  // The worst first; among equals, the order of the files.
  const notable = entries.filter((entry) => entry.isNotable).sort((a, b) => a.rank - b.rank);
  const sorted = [...notable, ...entries.filter((entry) => !entry.isNotable)];
  const candidates = wanted !== '' || rowsOf(sorted) <= MAX_ROWS ? sorted : notable;
  let rows = 0;
  const shown = candidates.filter(({ states: own }, index) => (rows += own.length) <= MAX_ROWS || index === 0);
  const named = sorted.slice(shown.length, shown.length + MAX_NAMES);
  const left = sorted.length - shown.length - named.length;

  octets.text(head(runtime, wanted));
  octets.text(notes(runtime, nowMs));
  octets.text(orders(runtime, nowMs));
  octets.text(fleetSection(runtime));
  const count = `${groupThousands(sorted.length)} ${sorted.length === 1 ? 'service' : 'services'}`;
  octets.text(`<h2>${wanted === '' ? count : `${count} with “${html(wanted)}”`}</h2>\n`);
  if (catalog.services.length === 0) octets.text('<p class="soft">No services.</p>\n');
  await inTurns(shown, (entry) => {
    octets.text(serviceCard(entry, nowMs));
  });
  if (named.length > 0) {
    octets.text('<ul>');
    await inTurns(named, (entry) => {
      octets.text(serviceLine(entry));
    });
    octets.text('</ul>\n');
  }
  if (left > 0) octets.text(`<p class="soft">and ${groupThousands(left)} more: search by name</p>\n`);
  octets.text(foot(runtime, now));
}

function rowsOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { states }) => sum + states.length, 0);
}

function isFound({ service, states }: Entry, wanted: string): boolean {
  return (
    service.name.includes(wanted) ||
    states.some(({ info, region }) => `${info.name} @${region}`.toLowerCase().includes(wanted))
  );
}

function head(runtime: Runtime, find: string): string {
  const missing = runtime.notReady();
  const state = missing.length > 0 ? 'not ready' : (alarmTitle(runtime) ?? 'ready');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${html(state)} · Pharos</title><link rel="icon" href="data:,"><style>${STYLE}</style></head><body>
<header><h1>Pharos</h1><form><input name="find" type="search" value="${html(find)}" placeholder="service, VIP or @region"
 aria-label="Find services"> <button>Find</button></form></header>
<p id="lost" class="note bad"><span>The server does not respond. This is its last known state.</span></p>
<main>
`;
}

/** `service_down www.example.com (3 alarms)`: the most urgent alarm, short enough for a tab. */
function alarmTitle(runtime: Runtime): string | undefined {
  const alarms = runtime.alarms();
  const [first] = alarms;
  if (first === undefined) return undefined;
  const what = first.subject === null ? first.code : `${first.code} ${first.subject}`;
  return `${what} (${countAlarms(alarms.length)})`;
}

function countAlarms(count: number): string {
  return `${count} alarm${count === 1 ? '' : 's'}`;
}

/** Alarms shown in full. */
const MAX_ALARMS = 50;

function notes(runtime: Runtime, nowMs: number): string {
  const { number, warnings } = runtime.generation();
  const missing = runtime.notReady();
  const alarms = runtime.alarms();
  const critical = alarms.filter(({ severity }) => severity === 'critical').length;
  const tone = critical > 0 ? 'bad' : alarms.length > 0 ? 'odd' : 'good';
  const count =
    alarms.length === 0 ? '' : `, <b class="${tone}">${countAlarms(alarms.length)} (${critical} critical)</b>`;
  const ready =
    missing.length === 0 ? `<b class="${tone}">ready</b>` : `<b class="bad">not ready</b>: ${html(missing.join('; '))}`;
  const up = lasting(runtime.uptimeSeconds());
  return [
    `<p>${ready}${count}, generation ${number}, up ${up}</p>`,
    `<p class="soft">${trafficWords(trafficDocument(runtime.recent()))}</p>`,
    ...alarms
      .slice(0, MAX_ALARMS)
      .map(({ code, severity, message, since }) =>
        note(severity === 'critical' ? 'bad' : 'odd', `${code} for ${age(since, nowMs)}`, message),
      ),
    ...(alarms.length > MAX_ALARMS ? [`<p class="soft">and ${alarms.length - MAX_ALARMS} more</p>`] : []),
    ...warnings.map(({ code, message, place }) => note('odd', `${code} ${fileAndLine(place)}`, message)),
    '',
  ].join('\n');
}

function note(tone: 'bad' | 'odd', title: string, text: string): string {
  return `<p class="note ${tone}"><b>${html(title)}</b><br><span>${html(text)}</span></p>`;
}

/** Overrides of targets that are not configured. All others are shown with their VIPs. */
function orders(runtime: Runtime, nowMs: number): string {
  return overrideDocuments(runtime)
    .filter(({ present }) => !present)
    .map(({ target, state, since }) => {
      return `${note('odd', `${target}: ${state} for ${age(since, nowMs)}`, 'This VIP is not configured. The override applies again if it returns.')}\n`;
    })
    .join('');
}

/** The nodes of the fleet; nothing without one. */
function fleetSection(runtime: Runtime): string {
  const { fleet } = runtime;
  const line = fleetLine(runtime);
  if (fleet === undefined || line === null) return '';
  const nodes = fleetNodes(runtime, fleet);
  const own = nodes.find(({ state }) => state === 'self')?.config;
  const heard = heardWords(line);
  const tone = line.alone ? 'bad' : heard.isWell ? 'good' : 'odd';
  const rows = nodes.map((node) => {
    const isSame = node.config === null || node.config === own;
    const cells = [
      `<td>${html(node.node)}</td>`,
      `<td>${html(node.region ?? '-')}</td>`,
      `<td class="${node.state === 'lost' ? 'bad' : 'good'}">${node.state === 'self' ? 'this node' : node.state}</td>`,
      `<td data-name="last heard">${sinceHeard(node)}</td>`,
      `<td class="n" data-name="probes">${node.probed ?? '-'}</td>`,
      `<td data-name="version">${html(node.version ?? '-')}</td>`,
      `<td class="last${isSame ? '' : ' odd'}">${node.config === null ? '-' : isSame ? 'the same' : 'differs'}</td>`,
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<section class="service"><h3>Fleet ${html(line.name)} <span class="${tone}">${heard.text}</span></h3>
<table><thead><tr><th>node<th>region<th>state<th>last heard<th class="n">probes<th>version<th>configuration</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></section>
`;
}

function sinceHeard({ state, last_heard_ms: heardMs }: FleetNode): string {
  if (heardMs === null) return 'never';
  return state === 'self' ? '-' : lasting(heardMs / 1000);
}

function serviceCard({ service, states }: Entry, nowMs: number): string {
  const { minSeconds, maxSeconds } = service.ttl;
  const ttl = minSeconds === maxSeconds ? `${minSeconds}` : `${minSeconds} to ${maxSeconds}`;
  const sum = states.reduce((total, { servedLately }) => total + servedLately, 0);
  const rows = worstFirst(states).map((state) => {
    const vip = vipDocument(state);
    const { text, tone } = stateWords(vip);
    const cells = [
      `<td>${html(vip.vip)}</td>`,
      `<td>${html(vip.region ?? '-')}</td>`,
      `<td class="${tone}">${html(text)}</td>`,
      `<td data-name="for">${ageWords(vip, nowMs)}</td>`,
      `<td class="n${vip.weight_override === null ? '' : ' odd'}" data-name="weight">${describeWeight(vip)}</td>`,
      `<td class="n" data-name="served">${sum === 0 ? '-' : `${((vip.served_last_minute / sum) * 100).toFixed(1)} %`}</td>`,
      `<td class="last">${html(whyWords(vip, nowMs))}</td>`,
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  const steps = service.steps.map(({ kind }) => kind).join(', ');
  const about = `TTL ${ttl} s; ${steps}; when all are down: ${service.whenAllDown}`;
  return `<section class="service"><h3>${html(service.name)} ${available(states)} <span class="soft">${about}</span></h3>
<table><thead><tr><th>VIP<th>region<th>state<th>for<th class="n">weight<th class="n">served<th>why</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></section>
`;
}

function serviceLine({ service, states }: Entry): string {
  const link = `?find=${encodeURIComponent(service.name)}`;
  return `<li><a href="${html(link)}">${html(service.name)}</a> ${available(states)}</li>\n`;
}

function available(states: readonly VipState[]): string {
  const count = states.filter((state) => state.available).length;
  const tone = count === 0 ? 'bad' : count < states.length ? 'odd' : 'good';
  return `<span class="${tone}">${count} of ${states.length} available</span>`;
}

function foot(runtime: Runtime, now: Date): string {
  const { catalog, databases, loadedAt } = runtime.generation();
  const zones = catalog.zones
    .slice(0, MAX_NAMES)
    .map(
      ({ name, serial, records }) =>
        `<li>${html(name)} <span class="soft">serial ${serial}, ${records} records</span></li>`,
    );
  const left = catalog.zones.length - zones.length;
  const links = ['/metrics', '/api/v1/status', '/api/v1/events', '/api/v1/openapi.json'];
  return [
    `<h2>${catalog.zones.length === 1 ? '1 zone' : `${catalog.zones.length} zones`}</h2>`,
    `<ul>${zones.join('\n')}</ul>${left > 0 ? `<p class="soft">and ${left} more</p>` : ''}`,
    `<footer><p>${links.map((link) => `<a href="${link}">${link}</a>`).join(' · ')}</p>`,
    `<p>Pharos ${html(runtime.version)}, configuration loaded at ${loadedAt.toISOString()}, page generated at ${now.toISOString()}</p>`,
    ...new Set(databases.map(({ attribution }) => `<p>${html(attribution)}</p>`)),
    `</footer></main><script>${SCRIPT}</script></body></html>`,
    '',
  ].join('\n');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for values of attributes in quotes. */
function html(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);
}
