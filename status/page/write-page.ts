/**
 * `GET /` for browsers: the verdict, then problems, then the map of a service, then services with their VIPs. The
 * server writes the page, so that it works without scripts; every view has a URL. The script (web/page.ts) gets the
 * page again when something changes, and changes what differs. `overview.ts` is the text for curl.
 *
 * If there are many services, those without problems have one line each, and `?find=` shows the VIPs of matching ones.
 */
import { fileAndLine } from '../../config/diagnostics.ts';
import { groupThousands } from '../../config/units.ts';
import type { AliasInfo } from '../../zones/catalog.ts';
import { unknownService } from '../../zones/read/suggest-targets.ts';
import { inTurns, type Octets } from '../assemble-reply.ts';
import { fleetLine, fleetNodes, heardWords, type FleetNode } from '../fleet-document.ts';
import { isNotable } from '../overview.ts';
import type { Runtime } from '../runtime.ts';
import { trafficDocument } from '../status-document.ts';
import { age, lasting, perSecondWords, trafficWords, urgencyOf } from '../vip-words.ts';
import { vipStates, type VipState } from '../vips.ts';
import { sparkLine } from './charts.ts';
import { commandPanel, explanation, type PageClient } from './decide.ts';
import type { Maps } from './forecast-cache.ts';
import { downOf, html, noteBox, type PageQuery } from './markup.ts';
import type { PageParts } from './page-parts.ts';
import { ordersInForce, timeline } from './timeline.ts';
import { iconOf, titleOfVerdict, pageVerdict, type PageVerdict } from './verdict.ts';
import { serviceCard, serviceLine, type ServiceEntry } from './vip-table.ts';
import { countryTable, createWorld, mapWords, regionList, shapesOnce, worldMap } from './world.ts';

/** Rows that a person can look through and a phone can display. */
const MAX_ROWS = 200;
/** Services listed without their VIPs, and offered for the map. */
const MAX_NAMES = 1000;
/** Aliases of a zone that the page shows. */
const MAX_ALIASES = 20;
/** Targets offered for a command. */
const MAX_TARGETS = 300;
const MAX_FIND_LETTERS = 255;
/** A page does not wait longer for its map; the next refresh has it. */
const MAP_WAIT_MS = 3000;

export type PageRequest = {
  readonly runtime: Runtime;
  readonly maps: Maps;
  readonly parts: PageParts;
  readonly query: PageQuery;
  readonly now: Date;
  /** Who asks, and what they may change; null where it is not known. */
  readonly client: PageClient;
};

/** The part of the configuration that the page is about. */
type Selection = {
  readonly title: string;
  readonly isAll: boolean;
  readonly entries: readonly ServiceEntry[];
  /** Targets of the selection, for commands. */
  readonly targets: readonly string[];
  readonly isWanted: (target: string) => boolean;
};

/** Adds the page. */
export async function writePage(request: PageRequest, octets: Octets): Promise<void> {
  const { runtime, query, now } = request;
  const nowMs = now.getTime();
  const wanted = (query.find ?? '').slice(0, MAX_FIND_LETTERS).trim().toLowerCase();
  const states = await vipStates(runtime);
  const selection = await select(runtime, query, wanted, states);
  const { entries } = selection;
  // The worst first; among equals, the order of the files.
  const notable = entries.filter((entry) => entry.isNotable).sort((a, b) => a.rank - b.rank);
  const sorted = [...notable, ...entries.filter((entry) => !entry.isNotable)];
  const candidates = !selection.isAll || rowsOf(sorted) <= MAX_ROWS ? sorted : notable;
  let rows = 0;
  const shown = candidates.filter(({ states: own }, index) => (rows += own.length) <= MAX_ROWS || index === 0);
  const named = sorted.slice(shown.length, shown.length + MAX_NAMES);
  const left = sorted.length - shown.length - named.length;

  const verdict = pageVerdict(runtime, states);
  octets.text(head(request, verdict, wanted));
  octets.text(notes(runtime, nowMs));
  const service = query.service ?? (wanted === '' && query.region === undefined ? sorted[0]?.service.name : undefined);
  const drawn = service === undefined ? undefined : await drawMap(request, service, states);
  octets.text(drawn?.html ?? '');
  octets.text(ordersInForce(runtime, selection.isWanted, nowMs));
  octets.text(
    `<h2 id="services">${html(selection.title)}${selection.isAll ? '' : ' <a class="all" href="/">All services</a>'}</h2>\n`,
  );
  if (runtime.generation().catalog.services.length === 0) octets.text('<p class="soft">No services.</p>\n');
  octets.text(await commandPanel(runtime, selection.targets, query, request.client));
  await inTurns(shown, (entry) => {
    octets.text(serviceCard(entry, { runtime, nowMs, query, map: drawn?.map }));
  });
  if (named.length > 0) {
    octets.text('<ul>');
    await inTurns(named, (entry) => {
      octets.text(serviceLine(entry));
    });
    octets.text('</ul>\n');
  }
  if (left > 0) octets.text(`<p class="soft">and ${groupThousands(left)} more: search by name</p>\n`);
  octets.text(timeline(runtime, (event) => selection.isAll || selection.isWanted(event.target ?? ''), nowMs));
  octets.text(fleetSection(runtime));
  octets.text(foot(request));
}

async function select(
  runtime: Runtime,
  query: PageQuery,
  wanted: string,
  states: readonly VipState[],
): Promise<Selection> {
  const { catalog } = runtime.generation();
  const { service: only, region } = query;
  const entries: ServiceEntry[] = [];
  await inTurns(catalog.services, (service) => {
    if (only !== undefined && service.name !== only) return;
    const all = states.slice(service.firstSlot, service.firstSlot + service.vipCount);
    const own = region === undefined ? all : all.filter((state) => state.region === region);
    if (own.length === 0 && region !== undefined) return;
    const entry = { service, states: own, isNotable: own.some(isNotable), rank: urgencyOf(own) };
    if (wanted === '' || isFound(entry, wanted)) entries.push(entry);
  });
  const count = `${groupThousands(entries.length)} ${entries.length === 1 ? 'service' : 'services'}`;
  const isAll = only === undefined && region === undefined && wanted === '';
  const title =
    only !== undefined
      ? entries.length === 0
        ? unknownService(catalog, only).detail
        : only
      : region !== undefined
        ? `Region ${region}: ${count}`
        : wanted === ''
          ? count
          : `${count} with “${wanted}”`;
  const vips = entries.flatMap((entry) => entry.states);
  const regions = [...new Set(vips.map((state) => state.region))].filter((name) => name !== '');
  const groups =
    region !== undefined
      ? [`@${region}`]
      : only !== undefined
        ? regions.map((name) => `${only}/@${name}`)
        : regions.map((name) => `@${name}`);
  const targets = [...vips.slice(0, MAX_TARGETS).map(({ info }) => info.target), ...groups];
  // A target that was chosen stays in the list.
  if (query.target && !targets.includes(query.target)) targets.unshift(query.target);
  const names = new Set(vips.map(({ info }) => info.target));
  return { title, isAll, entries, targets, isWanted: (target) => isAll || names.has(target) };
}

/** The map of a service with its words, regions and table. */
async function drawMap(
  { runtime, maps, query }: PageRequest,
  service: string,
  states: readonly VipState[],
): Promise<{ readonly html: string; readonly map: Parameters<typeof createWorld>[0] | undefined }> {
  const { services } = runtime.generation().catalog;
  if (!services.some(({ name }) => name === service)) return { html: '', map: undefined };
  const options = services
    .slice(0, MAX_NAMES)
    .map(({ name }) => `<option${name === service ? ' selected' : ''}>${html(name)}</option>`);
  const picker = `<form class="inline auto" action="/"><h2 id="map">Who serves whom</h2><label>Service <select name="service">${options.join('')}</select></label> <button class="noscript">Show</button></form>`;
  const outcome = await soon(maps.of(service, downOf(query)));
  if (outcome?.ok !== true) {
    const why =
      outcome === undefined
        ? 'It takes longer than usual.'
        : outcome.outcome.kind === 'refused'
          ? outcome.outcome.message
          : 'Too many simulations are under way.';
    return { html: `${picker}${noteBox('odd', 'No map', why)}`, map: undefined };
  }
  const world = createWorld(outcome.map);
  const text = `<section class="map" data-key="map">${picker}${mapWords(world)}<div class="atlas"><div class="sheet">${worldMap(world, states, { ...query, service })}</div>${regionList(world, states, query)}</div>${explanation(runtime, service, query)}${countryTable(world, { ...query, service })}</section>\n`;
  return { html: text, map: outcome.map };
}

/** Undefined if it takes too long. */
async function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined);
    }, MAP_WAIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function rowsOf(entries: readonly ServiceEntry[]): number {
  return entries.reduce((sum, { states }) => sum + states.length, 0);
}

function isFound({ service, states }: ServiceEntry, wanted: string): boolean {
  return (
    service.name.includes(wanted) ||
    states.some(({ info, region }) => `${info.name} @${region}`.toLowerCase().includes(wanted))
  );
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
    trafficPart(runtime),
    ...alarms
      .slice(0, MAX_ALARMS)
      .map(({ code, severity, message, since }) =>
        noteBox(severity === 'critical' ? 'bad' : 'odd', `${code} for ${age(since, nowMs)}`, message),
      ),
    ...(alarms.length > MAX_ALARMS ? [`<p class="soft">and ${alarms.length - MAX_ALARMS} more</p>`] : []),
    ...warnings.map(({ code, message, place }) => noteBox('odd', `${code} ${fileAndLine(place)}`, message)),
    '',
  ].join('\n');
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
<table class="fleet"><thead><tr><th>node<th>region<th>state<th>last heard<th class="n">probes<th>version<th>configuration</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></section>
`;
}

function sinceHeard({ state, last_heard_ms: heardMs }: FleetNode): string {
  if (heardMs === null) return 'never';
  return state === 'self' ? '-' : lasting(heardMs / 1000);
}

/** Rates of the last minute in words, and of the last day as lines. */
function trafficPart(runtime: Runtime): string {
  const { queries, nxdomain, servfail } = runtime.history.traffic();
  const lines = [
    ['queries', sparkLine(queries, 'queries', 'queries')],
    ['NXDOMAIN', sparkLine(nxdomain, 'odd', 'NXDOMAIN')],
    ['SERVFAIL', sparkLine(servfail, 'bad', 'SERVFAIL')],
  ].map(([name, line]) => `<span class="rate"><span class="soft">${name}</span>${line}</span>`);
  return `<p class="soft">${html(trafficWords(trafficDocument(runtime.recent())))}</p><p class="rates">${queries.length < 2 ? '' : lines.join('')}</p>`;
}

function head({ runtime, parts, query }: PageRequest, verdict: PageVerdict, find: string): string {
  const sentence = verdict.parts
    .map(({ text, tone }) => `<span class="${tone}">${html(text)}</span>`)
    .join(' <span class="sep">·</span> ');
  const isFragment = query.fragment !== undefined;
  const node = runtime.fleet?.node;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${html(titleOfVerdict(verdict))} · Pharos${node === undefined ? '' : ` ${html(node)}`}</title><link rel="icon" href="${iconOf(verdict)}">${isFragment ? '' : `<style>${parts.style}</style>`}</head><body>
${isFragment ? '' : shapesOnce(parts.shapes)}<header><a class="name" href="/">Pharos</a><form role="search"><input name="find" type="search" value="${html(find)}" placeholder="service, VIP or @region"
 aria-label="Find services"> <button>Find</button></form></header>
<p id="lost" class="note bad" role="alert"></p>
<main>
<h1 class="verdict ${verdict.tone}">${sentence}</h1>
`;
}

function foot({ runtime, parts, query, now }: PageRequest): string {
  const { catalog, databases, loadedAt, number } = runtime.generation();
  const last = runtime.lastReload();
  const { seconds, zoneQueries } = runtime.recent();
  const zones = catalog.zones.slice(0, MAX_NAMES).map(({ name, serial, records, signing, aliases }, place) => {
    const rate = seconds > 0 ? (zoneQueries[place] ?? 0) / seconds : 0;
    const signed = signing === undefined ? '' : `, ${signedWords(signing.expiresAt, signing.refreshAt, now.getTime())}`;
    return `<li>${html(name)} <span class="soft">serial ${serial}, ${records} records, ${html(perSecondWords(rate))} queries/s${signed}${aliasWords(aliases)}</span></li>`;
  });
  const left = catalog.zones.length - zones.length;
  const links = ['/metrics', '/api/v1/status', '/api/v1/events', '/api/v1/openapi.json'];
  const reload = last.ok
    ? `last reload ${age(last.at.toISOString(), now.getTime())} ago`
    : `<b class="bad">reload rejected ${age(last.at.toISOString(), now.getTime())} ago</b>`;
  return [
    `<h2 id="zones">${catalog.zones.length === 1 ? '1 zone' : `${catalog.zones.length} zones`}</h2>`,
    `<ul>${zones.join('\n')}</ul>${left > 0 ? `<p class="soft">and ${left} more</p>` : ''}`,
    `<h2 id="configuration">Configuration</h2><p>Generation ${number}, ${reload}; <code>pharos reload</code> reads the files again.</p>`,
    ...last.diagnostics
      .filter(({ severity }) => severity === 'error')
      .slice(0, 20)
      .map(({ code, message, place }) => noteBox('bad', `${code} ${fileAndLine(place)}`, message)),
    `</main><footer><p>${links.map((link) => `<a href="${link}">${link}</a>`).join(' · ')}</p>`,
    `<p>Pharos ${html(runtime.version)}, configuration loaded at ${loadedAt.toISOString()}, page generated at ${now.toISOString()}</p>`,
    ...new Set(databases.map(({ attribution }) => `<p>${html(attribution)}</p>`)),
    `<p>Map: Natural Earth</p></footer>${query.fragment === undefined ? `<script>${parts.script}</script>` : ''}</body></html>`,
    '',
  ].join('\n');
}

/** `; ALIAS example.org → www.example.com` */
function aliasWords(aliases: readonly AliasInfo[] = []): string {
  const shown = aliases.slice(0, MAX_ALIASES).map(({ name, path, leadsTo }) => {
    const way = [name, ...path].map(html).join(' → ');
    return leadsTo === 'nothing' || leadsTo === 'unresolved' ? `<b class="bad">${way} (no addresses)</b>` : way;
  });
  if (shown.length === 0) return '';
  const left = aliases.length - shown.length;
  return `; ALIAS ${shown.join(', ')}${left > 0 ? ` and ${left} more` : ''}`;
}

/** `signed, new signatures in 3 d, the first ends in 10 d` */
function signedWords(expiresAt: number, refreshAt: number, nowMs: number): string {
  const [left, next] = [expiresAt - nowMs / 1000, refreshAt - nowMs / 1000];
  if (left <= 0) return '<b class="bad">signatures have ended</b>';
  return `signed; new signatures in ${lasting(next)}, the first ends in ${lasting(left)}`;
}
