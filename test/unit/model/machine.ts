/**
 * The server under test: its parts as they run in the process, without sockets and threads, and beside it the reference
 * that hears of everything that happens to it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { dnssecRoll } from '../../../cli/dnssec-roll.ts';
import { configureHealth, type Current } from '../../../cli/serve/generation.ts';
import { createSignatureKeeper, type SignatureKeeper } from '../../../cli/serve/signature-keeper.ts';
import type { Updates } from '../../../cli/serve/updates.ts';
import { createAlarms } from '../../../config/alarms.ts';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { DEFAULT_FLEET_RULE } from '../../../config/fleet-rule.ts';
import { makeKey, readKeys, setTimes, type KeyTimes } from '../../../dnssec/key-files.ts';
import type { Probe } from '../../../health/checks/probe.ts';
import { startHealth, type Health } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { canonical, parseName } from '../../../wire/name.ts';
import { parseRdataText } from '../../../wire/rdata.ts';
import { TYPE } from '../../../wire/types.ts';
import { createZoneChanger } from '../../../zones/image/change-zone.ts';
import { createSearch, search } from '../../../zones/image/find-node.ts';
import { viewImage } from '../../../zones/image/image.ts';
import { createPartStore, type PartStore } from '../../../zones/image/part-store.ts';
import {
  loadWorld,
  type LoadedGeneration,
  type LoadInput,
  type World as LoadedWorld,
} from '../../../zones/load-generation.ts';
import { formatSerials } from '../../../zones/serials.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';
import { createDice } from '../../support/random.ts';
import { captureOutput } from '../cli/captured-output.ts';
import { writeFiles } from './chance.ts';
import { createModelClock, type ModelClock } from './clock.ts';
import { restartNode } from './fleet-reference.ts';
import { createModelFleet, electorateOf, endProcess, type ModelFleet } from './fleet.ts';
import { nextChange, readRefKeys, refRoles, type RefKey, type RefRoles, type SignedAs } from './keys-reference.ts';
import { begin, createReference, hear, hearNothing, readTexts, SELF, unitKey, type Reference } from './reference.ts';
import type { Step } from './steps.ts';
import { changeText, createModelUpdates, noteChange } from './updates.ts';
import { HOSTS, worldOf, ZONES, type ModelRule, type World } from './world.ts';

/** Zones with updates have room for changes in place. */
const UPDATES =
  'transfer: { keys: { k: { algorithm: hmac-sha256, secret: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" } } }\nupdates: [{ key: k }]\n';
const APEX = parseName('ex.');
const SIGNED = parseName('sx.');
const DAY = 86_400;
/** Half of the lifetime of signatures, which is 14 days. */
const REFRESH_SECONDS = 7 * DAY;
/** Signatures begin this much earlier. */
const BACKDATED_SECONDS = 3600;
/** Changes of keys are looked for every 5 s. */
const LOOK_MS = 5000;

export type Machine = {
  /** Called with each answer. */
  readonly trace: ((answer: string) => void) | undefined;
  readonly clock: ModelClock;
  readonly folder: ReturnType<typeof folderOf>;
  readonly reference: Reference;
  /** By host: what its probes meet. */
  readonly passes: boolean[];
  readonly fleet: ModelFleet | undefined;
  readonly keeper: SignatureKeeper;
  readonly signing: Signing;
  health: Health;
  updates: Updates;
  store: PartStore;
  loaded: LoadedWorld | undefined;
  answering: Answering;
  memory: SharedArrayBuffer;
  serial: number;
  seed: number;
  /** What updates have logged as a warning or an error. */
  readonly warned: string[];
  /** The serial of `sx` when it was asked for last, and what the zone had then. */
  soa: { readonly serial: number; readonly content: string };
};

/** What the reference knows of the signed zone: as of the last load. */
type Signing = {
  keys: readonly RefKey[];
  roles: RefRoles;
  /** By the wall clock, in seconds. */
  loadedAt: number;
  signedAt: number;
  /** Since when the keys or the signatures must change, by the clock that never steps. */
  dueMs: number | undefined;
  readonly verified: Set<string>;
};

export async function startMachine(seed: number, trace?: Machine['trace']): Promise<Machine> {
  const clock = createModelClock();
  const folder = folderOf(NO_GEOGRAPHY);
  const fleet = hasFleet(seed) ? createModelFleet(clock, seed) : undefined;
  makeFirstKeys(folder.path, seed, seconds(clock));
  const machine: Machine = {
    ...{ trace, clock, folder, fleet, seed, serial: 1, warned: [], soa: { serial: 0, content: '' }, loaded: undefined },
    reference: createReference(worldOf(seed), fleet?.reference),
    passes: Array.from({ length: HOSTS + 1 }, () => true),
    signing: {
      keys: [],
      roles: refRoles([], 0),
      loadedAt: 0,
      signedAt: -Infinity,
      dueMs: undefined,
      verified: new Set(),
    },
    keeper: createSignatureKeeper({
      ...{ clock, alarms: createAlarms(() => clock.wall()) },
      catalog: () => machine.answering.generation.catalog,
    }),
    // The following are set before anything uses them.
    ...({} as Pick<Machine, 'health' | 'updates' | 'store' | 'answering' | 'memory'>),
  };
  if (fleet)
    fleet.stopped = (key) => {
      hearNothing(machine.reference, key);
    };
  startProcess(machine);
  machine.keeper.start(() => {
    reload(machine);
    return Promise.resolve();
  });
  await clock.advance(1);
  return machine;
}

export const hasFleet = (seed: number): boolean => seed % 2 === 1;

const seconds = (clock: ModelClock): number => Math.floor(clock.wall() / 1000);

const keysFolder = (folder: string): string => join(folder, 'state', 'keys');

/** One key that signs everything, or two. They are so old that no step of the clock ends them. */
function makeFirstKeys(folder: string, seed: number, now: number): void {
  const times = { publish: now - 30 * DAY, activate: now - 30 * DAY };
  makeKey(keysFolder(folder), SIGNED, now, { times });
  if (createDice(seed).chance(0.5)) makeKey(keysFolder(folder), SIGNED, now, { times, isEntryPoint: false });
}

function startProcess(machine: Machine): void {
  const { clock, folder, reference, passes, fleet } = machine;
  machine.store = createPartStore((octets) => new SharedArrayBuffer(octets));
  const loaded = (): LoadedGeneration => machine.answering.generation;
  const reread = (updated: readonly string[]): void => {
    compile(machine, { updated });
  };
  machine.updates = createModelUpdates(folder.path, () => clock.wall(), loaded, reread, machine.warned);
  machine.loaded = undefined;
  const probe: Probe = (target, check) => {
    const host = Number(target.host.split('.')[3]);
    const passed = passes[host] === true;
    hear(reference, refKeyOf(check, host, target.port), passed, clock.now());
    return Promise.resolve({ passed, reason: passed ? 'fine' : 'not fine', elapsedMs: 1 });
  };
  const warn = (message: string): void => {
    throw new Error(message);
  };
  const electorate =
    fleet &&
    electorateOf(
      fleet,
      ({ check, members }) => {
        const { vips } = reference.world.services.find(({ name }) => members[0]?.target.startsWith(`${name}/`)) ?? { vips: [] }; // prettier-ignore
        const { host = 0 } = vips.find(({ target }) => target === members[0]?.target) ?? {};
        return { key: refKeyOf(check, host, 'port' in check ? (check.port ?? 0) : 0), rule: ruleOf(check) };
      },
      () => clock.now(),
    );
  const parts = electorate ? { electorate } : {};
  machine.health = startHealth({ stateDir: join(folder.path, 'state'), clock, probe, warn, log: () => undefined, deadLink: () => undefined, ...parts }); // prettier-ignore
  load(machine, reference.world, true);
}

function refKeyOf(check: CheckSpec, host: number, port: number): string {
  return unitKey({ ...check, port, rule: ruleOf(check) }, host);
}

/** As the files of the model have it. */
function ruleOf({ fleet = DEFAULT_FLEET_RULE }: CheckSpec): ModelRule {
  const { quorum, view, from, probers } = fleet;
  const ofNumber = quorum.kind === 'number' ? String(quorum.regions) : quorum.kind;
  return {
    ...{ quorum: quorum.kind === 'share' ? `${quorum.share * 100}%` : ofNumber, view, from },
    probers: probers === 'all' ? undefined : probers,
  };
}

/** Writes the files and loads them, as `reload` of the server does. Throws if they are rejected. */
function load(machine: Machine, world: World, isStart = false): void {
  const { clock, folder, reference } = machine;
  const { regionsYaml, yamlOf } = world;
  const write = (name: string, text: string): void => {
    mkdirSync(join(folder.path, 'zones'), { recursive: true });
    writeFileSync(join(folder.path, name), text);
  };
  write('pharos.yaml', `geo: { databases: [small.mmdb] }\nregions: { ${regionsYaml} }\n${UPDATES}`);
  for (const zone of ZONES) write(`zones/${zone}.yaml`, yamlOf(zone, reference.texts));
  compile(machine);
  begin(reference, world, clock.now(), isStart);
  configureHealth(machine.health, { catalog: machine.answering.generation.catalog, health: machine.memory } as Current);
  void machine.updates.followFiles();
}

/** Loads the files. `updated`: only the journals of these zones have changed. */
function compile(machine: Machine, { updated }: Pick<LoadInput, 'updated'> = {}): void {
  const { clock, folder, store } = machine;
  const cache = { user: join(folder.path, 'cache'), keepsInState: true, version: '1' };
  const input = { ...{ file: undefined, cwd: folder.path, env: {}, cores: 1, cache }, updated };
  const outcome = atWallTime(clock, () => loadWorld(input, store, machine.loaded, new Map()));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  machine.loaded = outcome.value.world;
  const { generation } = machine.loaded;
  writeFileSync(join(folder.path, 'state', 'serials.json'), formatSerials(generation.serials));
  if (!updated) machine.memory = createHealthTable(generation.catalog.vips.length);
  const time = { ms: () => clock.now() | 0, seconds: () => seconds(clock) | 0 };
  machine.answering = answeringFrom(generation, { health: machine.memory }, machine.seed, time);
  noteLoad(machine, updated !== undefined);
}

/** Parts without a clock of their own take this time. */
function atWallTime<T>(clock: ModelClock, run: () => T): T {
  vi.setSystemTime(clock.wall());
  try {
    return run();
  } finally {
    vi.useRealTimers();
  }
}

/** An update reads no files of keys. */
function noteLoad({ signing, clock, folder }: Machine, isUpdate: boolean): void {
  const now = seconds(clock);
  const keys = isUpdate ? signing.keys : readRefKeys(keysFolder(folder.path));
  Object.assign(signing, { keys, roles: refRoles(keys, now), loadedAt: now, dueMs: undefined });
  if (now >= signing.signedAt + REFRESH_SECONDS) signing.signedAt = now;
}

/** Reloads, with the configuration of another seed if one is given. */
export function reload(machine: Machine, seed = machine.seed): void {
  const { reference } = machine;
  const world = seed === machine.seed ? reference.world : worldOf(seed);
  if (seed !== machine.seed) readTexts(reference, world);
  machine.seed = seed;
  load(machine, world);
  machine.keeper.replaced();
}

export async function restart(machine: Machine): Promise<void> {
  const { clock, fleet } = machine;
  await machine.health.stop();
  await machine.updates.stop();
  writeFiles();
  if (fleet) endProcess(fleet, SELF, clock.now(), true);
  if (fleet) restartNode(fleet.reference, SELF, clock.now());
  startProcess(machine);
  machine.keeper.replaced();
}

/** An update of the signed zone. */
export async function change({ updates, reference }: Machine, name: string, text: string | undefined): Promise<void> {
  await changeText(updates, name, text);
  noteChange(reference.changed, reference.texts.sx, name, text);
}

/** An update of a TXT record, in place. */
export function update(machine: Machine, text: number, value: number): void {
  const { image, atlas } = machine.answering.generation;
  const view = viewImage(image, atlas);
  const target = createSearch(APEX);
  search(view, target);
  const data = [parseRdataText(TYPE.TXT, `"${value}"`, APEX)];
  const name = canonical(parseName(`t${text}.ex.`));
  machine.serial += 1;
  const changes = [{ name, sets: new Map([[TYPE.TXT, { ttlSeconds: 300, data }]]) }];
  const isDone = createZoneChanger(view, target.zone)?.change(changes, machine.serial);
  if (isDone === true) machine.reference.texts.ex[text] = String(value);
}

/** Begins a key roll by the command. It may be refused. */
export function roll({ clock, folder }: Machine, zsk: boolean, algorithm: string | undefined): void {
  const { output } = captureOutput();
  const config = join(folder.path, 'pharos.yaml');
  atWallTime(clock, () => dnssecRoll({ zone: 'sx', config, json: false, zsk, algorithm }, output));
}

/** Ends a key roll as `dnssec-settime` would, if the other key has been in force for an hour. */
export function retire(
  { clock, folder }: Machine,
  { zsk, seconds: after, gap }: Extract<Step, { kind: 'retire' }>,
): void {
  const now = seconds(clock);
  const isEnding = ({ times }: { readonly times: KeyTimes }): boolean => times.inactive !== undefined || times.delete !== undefined; // prettier-ignore
  const staying = readKeys(keysFolder(folder.path), SIGNED).keys.filter((key) => !isEnding(key));
  const ofKind = staying.filter(({ isEntryPoint }) => isEntryPoint !== zsk);
  const byAge = ofKind.toSorted((a, b) => (a.times.publish ?? 0) - (b.times.publish ?? 0));
  const [old, next] = byAge;
  if (!old || !next || (next.times.publish ?? 0) + 3700 > now) return;
  if (zsk && next.algorithm === old.algorithm) {
    setTimes(next, { activate: now });
    setTimes(old, { inactive: now + gap, delete: now + gap + after });
  } else if (next.algorithm === old.algorithm) setTimes(old, { inactive: now + after, delete: now + after + gap });
  else if ((next.times.activate ?? Infinity) + 3700 <= now) {
    // RFC 6781 4.1.4: the DNSKEYs of an algorithm leave before its signatures.
    const leaving = staying.filter(({ algorithm }) => algorithm === old.algorithm);
    for (const key of leaving) setTimes(key, { inactive: now + after + 7200, delete: now + after });
  }
}

/** Notes whether keys or signatures are due to change. Returns what is wrong if they are late. */
export function lookAtKeys({ signing, clock }: Machine, nowMs = clock.now()): string | undefined {
  const { keys, loadedAt, signedAt } = signing;
  const now = clock.wall() / 1000;
  const isDue = now >= Math.min(nextChange(keys, loadedAt), signedAt + REFRESH_SECONDS);
  signing.dueMs = isDue ? (signing.dueMs ?? nowMs) : undefined;
  const late = signing.dueMs !== undefined && nowMs - signing.dueMs > LOOK_MS;
  return late ? `keys or signatures have been due to change for ${nowMs - (signing.dueMs ?? 0)} ms` : undefined;
}

/** How answers of the signed zone must be signed now. */
export function signedAs({ signing, clock }: Machine): SignedAs {
  const { roles, signedAt, dueMs, verified } = signing;
  const now = seconds(clock);
  const isInForce = dueMs === undefined && now >= signedAt - BACKDATED_SECONDS;
  return { roles, seconds: isInForce ? now : undefined, verified };
}
