/**
 * `pharos diff OLD NEW`: records and services that differ, and which share of the clients moves, by country.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { lookAt } from '../config/folder.ts';
import type { Settings } from '../config/settings.ts';
import { healthFor } from '../server/explain/explain-answer.ts';
import { joinAtlases } from '../server/forecast/address-space.ts';
import { NOBODY } from '../server/forecast/client-counts.ts';
import type { Weighing } from '../server/forecast/client-weights.ts';
import { createSide, type Side } from '../server/forecast/expected-shares.ts';
import { trafficOf, typesOf } from '../server/forecast/traffic.ts';
import { typeOfBit } from '../server/vip-data.ts';
import { clientsOf, isStatusDocument } from '../status/status-document.ts';
import { hasBits, HAS, otherBit, otherType, SERVICE, serviceWord } from '../steering/plan.ts';
import { loadWithZones, type LoadedGeneration } from '../zones/load-generation.ts';
import type { ZoneModel } from '../zones/read/model.ts';
import { apiAt, callApi, shownUrl, type Api } from './api-client.ts';
import { diffRecords } from './diff-records.ts';
import { diffAliases, diffMaps, diffRegions, diffServices } from './diff-services.ts';
import { loadInputFor } from './load-input.ts';
import { EXIT, fail, showDiagnostics, type Output } from './output.ts';
import { startProgress } from './progress.ts';
import { renderDiff, type Difference } from './render-diff.ts';

/** `api`: a server whose counts weigh countries and VIPs. `all`: show every line. */
export type DiffOptions = {
  readonly before: string;
  readonly after: string;
  readonly api: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
  readonly all: boolean;
};

type Configuration = { readonly generation: LoadedGeneration; readonly zones: readonly ZoneModel[] };

export async function diff(options: DiffOptions, output: Output): Promise<number> {
  const found = options.api === undefined ? undefined : apiAt(options.api, options.token);
  if (found?.ok === false) return fail('diff', found.message, EXIT.USAGE, output);
  using progress = startProgress([`Reading ${options.before}`, `Reading ${options.after}`, 'Comparing'], output);
  const before = load(options.before, output);
  progress.next();
  const after = load(options.after, output, before);
  progress.next();
  if (!before || !after) return EXIT.FAILED;
  const counted = found && (await countedBy(found.api, before.generation));
  if (typeof counted === 'string') return fail('diff', counted, EXIT.FAILED, output);
  const difference = compare(before, after, counted);
  output.out(
    options.json ? JSON.stringify(difference, undefined, 2) : renderDiff(difference, options.all, output.style),
  );
  return EXIT.OK;
}

/**
 * Shows mistakes, and then returns undefined. Databases and atlas of `before` are used again if they are the same.
 * `path` is a configuration file, or the folder to start `serve` in.
 */
function load(path: string, output: Output, before?: Configuration): Configuration | undefined {
  const isFolder = lookAt(path).kind === 'folder';
  const outcome = loadWithZones({
    ...loadInputFor(isFolder ? undefined : path),
    ...(isFolder ? { cwd: resolve(path) } : {}),
    geographyInUse: before?.generation,
  });
  const placed = outcome.diagnostics.map((diagnostic) => {
    // Both sides may have a zones/example.com.yaml: name the side.
    const { file } = diagnostic.place;
    const place = { ...diagnostic.place, file: isFolder && !isAbsolute(file) ? join(path, file) : file };
    return { ...diagnostic, place };
  });
  showDiagnostics(placed, output);
  return outcome.ok ? outcome.value : undefined;
}

/** The counts of a server that runs the old configuration; a message if they cannot be read. */
async function countedBy(api: Api, { catalog }: LoadedGeneration): Promise<Weighing['counted'] | string> {
  const reply = await callApi(api, 'GET', '/api/v1/status');
  if (!reply.ok) return reply.message;
  const { value } = reply;
  if (!isStatusDocument(value))
    return `${shownUrl(api)} did not return the expected document; is it a Pharos server of this version?`;
  const served = new Map(value.vips.map((vip) => [vip.target, vip.served]));
  const clients = new Map(value.services.map((service) => [service.name, clientsOf(service.clients)]));
  return {
    served: Float64Array.from(catalog.vips, (vip) => served.get(vip.target) ?? 0),
    clients: (service) => clients.get(service) ?? NOBODY,
  };
}

export function compare(before: Configuration, after: Configuration, counted: Weighing['counted']): Difference {
  const [old, now] = [before.generation, after.generation];
  const names = ({ catalog }: LoadedGeneration): string[] => catalog.zones.map(({ name }) => name);
  const weighing: Weighing = { classes: joinAtlases(old.atlas, now.atlas), counted, by: 'auto' };
  const sides = [sideOf(old), sideOf(now)] as const;
  return {
    settings: settingsChanges(before, after),
    zones: {
      added: names(now).filter((name) => !names(old).includes(name)),
      removed: names(old).filter((name) => !names(now).includes(name)),
    },
    records: diffRecords(before.zones, after.zones),
    services: diffServices(before.zones, after.zones),
    maps: diffMaps(before.zones, after.zones),
    aliases: diffAliases(before.zones, after.zones),
    regions: diffRegions({ settings: old.settings, ...before }, { settings: now.settings, ...after }),
    traffic: now.catalog.services.flatMap(({ name }, service) => {
      const was = old.catalog.services.findIndex((other) => other.name === name);
      if (was < 0) return [];
      return seatsOf(sides[0], was, sides[1], service)
        .map(({ before: from, after: to, types }) =>
          trafficOf({ side: sides[0], service: was, has: from }, { side: sides[1], service, has: to }, types, weighing),
        )
        .filter(({ moved, ipv6, stranded }) => moved > 0 || ipv6 || stranded.before !== stranded.after);
    }),
  };
}

/** Without health: the files alone decide. */
function sideOf(generation: LoadedGeneration): Side {
  return createSide(generation, healthFor(generation, new Set(), undefined));
}

/** HAS bits of both sides to compare. A type that only one side has is in the list of changes. */
function seatsOf(
  before: Side,
  was: number,
  after: Side,
  is: number,
): { readonly before: number; readonly after: number; readonly types: readonly string[] }[] {
  const [old, now] = [typesOf({ side: before, service: was }), typesOf({ side: after, service: is })];
  if (isDeepStrictEqual(old, now)) return now.map(({ has, types }) => ({ before: has, after: has, types }));
  const bitOf = ({ steerer }: Side, service: number, bit: number): number => {
    const has = serviceWord(steerer.plan.services, service, SERVICE.HAS);
    return (has & HAS.CNAME) === 0 ? has & bit : HAS.CNAME;
  };
  const addresses = [
    { bit: HAS.A, types: ['A'] },
    { bit: HAS.AAAA, types: ['AAAA'] },
  ].map(({ bit, types }) => ({ from: bitOf(before, was, bit), to: bitOf(after, is, bit), types }));
  const { plan } = after.steerer;
  const others = hasBits(plan, is)
    .filter((bit) => bit >= HAS.FIRST_OTHER)
    .map((bit) => ({
      from: otherBit(before.steerer.plan, was, otherType(plan, is, bit)),
      to: bit,
      types: [typeOfBit(plan, is, bit)],
    }));
  return [...addresses, ...others].flatMap(({ from, to, types }) => {
    return from === 0 || to === 0 ? [] : [{ before: from, after: to, types }];
  });
}

/** Not compared: paths, which differ between two folders, and settings that have their own section of the report. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...['file', 'zoneFiles', 'zoneFolders', 'stateDir', 'shownPaths', 'workers'],
  ...['geo', 'regions', 'checks'],
]);

function settingsChanges(before: Configuration, after: Configuration): string[] {
  const [old, now] = [before.generation.settings, after.generation.settings];
  const values = new Map<string, unknown>(Object.entries(old));
  const databases = ({ generation }: Configuration): string =>
    generation.databases.map(({ type, built }) => `${type} ${built}`).join();
  return [
    ...Object.entries(now).flatMap(([key, value]) =>
      ELSEWHERE.has(key) || inFolder(plain(value), now) === inFolder(plain(values.get(key)), old) ? [] : [keyOf(key)],
    ),
    ...(databases(before) === databases(after) ? [] : ['geo.databases']),
    ...(plain(old.geo.networks) === plain(now.geo.networks) ? [] : ['geo.networks']),
  ];
}

/**
 * Paths below the folders of a configuration, without these folders: the two configurations may be in different ones.
 */
function inFolder(text: string, { file, stateDir }: Settings): string {
  const folders = [stateDir, ...(file === undefined ? [] : [dirname(file)])];
  return folders.reduce((rest, folder) => rest.replaceAll(JSON.stringify(folder).slice(1, -1), ''), text);
}

/** As text, without line numbers. */
function plain(value: unknown): string {
  const drop = (key: string, inner: unknown): unknown =>
    key === 'place'
      ? undefined
      : inner instanceof Map || inner instanceof Set
        ? [...(inner as Iterable<unknown>)]
        : inner;
  return JSON.stringify(value ?? null, drop);
}

function keyOf(setting: string): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
