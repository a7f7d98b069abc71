/**
 * Keeps the addresses of names outside the zones that aliases lead to: each is resolved again at its TTL. The last good
 * addresses are kept, also over a restart. A change is put in force like a dynamic update; no query waits for it.
 */
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { codeOf } from '../../config/unknown-values.ts';
import { createWriter } from '../../health/atomic-file.ts';
import { systemClock, type Cancel, type Clock } from '../../health/clock.ts';
import type { EventLog } from '../../status/events.ts';
import type { ForeignFigures, Reloaded } from '../../status/runtime.ts';
import { lasting } from '../../status/vip-words.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import {
  FOREIGN_FILE,
  formatForeignNames,
  readForeignNames,
  type ForeignAddresses,
  type ForeignNames,
} from '../../zones/foreign-names.ts';
import type { Follower } from './activate.ts';
import type { Current } from './generation.ts';
import type { KeptUpdates } from './reload.ts';

export type ForeignKeeper = Follower & {
  readonly start: () => void;
  /** The last good addresses. */
  readonly known: () => ForeignNames;
  readonly figures: () => readonly ForeignFigures[];
  readonly stop: () => Promise<void>;
};

/** What resolvers say of one family: addresses, none, or nothing, with the reason. */
export type FoundFamily =
  { readonly ok: true; readonly addresses: readonly string[]; readonly ttlSeconds: number | undefined } | { readonly ok: false; readonly why: string }; // prettier-ignore

export type ResolveName = (
  name: string,
  servers: readonly Endpoint[],
) => Promise<{ readonly a: FoundFamily; readonly aaaa: FoundFamily }>;

export type ForeignKeeperParts = {
  readonly stateDir: string;
  readonly current: () => Current;
  /** Puts the zones of these files in force with other addresses. */
  readonly update: (keep: () => Promise<KeptUpdates>) => Promise<Reloaded>;
  readonly alarms: Alarms;
  readonly events: Pick<EventLog, 'add'>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly mayWrite: () => boolean;
  readonly resolve?: ResolveName;
  readonly clock?: Clock;
};

/** A name is not asked for more often, whatever its TTL, nor less often. */
const LEAST_SECONDS = 5;
const MOST_SECONDS = 3600;
/** After a failure: as long as `LEAST_SECONDS`, doubled up to this. */
const MOST_RETRY_SECONDS = 60;
/** `alias_unresolved` is raised after so long without an answer. */
const ALARM_AFTER_MS = 300_000;
const QUERY_MS = 2000;
/** Names that are resolved together at a start, and the time between two such groups. */
const AT_ONCE = 50;
const SPREAD_MS = 100;

type Kept = {
  readonly name: string;
  cancel: Cancel | undefined;
  failures: number;
  /** Since when it could not be resolved, by the clock; undefined: the last attempt succeeded. */
  failingSinceMs: number | undefined;
  resolved: number;
  failed: number;
  lastGoodMs: number | undefined;
};

type Keeper = {
  readonly parts: Required<ForeignKeeperParts>;
  readonly names: Map<string, Kept>;
  readonly known: Map<string, ForeignAddresses>;
  /** Names whose addresses are not in force yet. */
  readonly pending: Set<string>;
  readonly save: () => void;
  isApplying: boolean;
  isStarted: boolean;
};

export function createForeignKeeper(given: ForeignKeeperParts): ForeignKeeper {
  const parts = { resolve: resolveName, clock: systemClock, ...given };
  const { stateDir, clock, alarms, mayWrite } = parts;
  const writer = createWriter(join(stateDir, FOREIGN_FILE), { clock, alarms, mayWrite });
  const known = new Map(readForeignNames(stateDir, (message) => { parts.log.warn(message); })); // prettier-ignore
  const keeper: Keeper = {
    ...{ parts, names: new Map(), known, pending: new Set(), isApplying: false, isStarted: false },
    save: () => { writer.later(0, () => formatForeignNames(known)); }, // prettier-ignore
  };
  return {
    start: () => {
      keeper.isStarted = true;
      follow(keeper);
    },
    replaced: () => {
      if (keeper.isStarted) follow(keeper);
    },
    known: () => known,
    figures: () => [...keeper.names.values()].map(({ name, resolved, failed, lastGoodMs }) => ({ name, resolved, failed, ageSeconds: lastGoodMs === undefined ? undefined : (clock.now() - lastGoodMs) / 1000 })), // prettier-ignore
    stop: async () => {
      keeper.isStarted = false;
      for (const { cancel } of keeper.names.values()) cancel?.();
      keeper.names.clear();
      await writer.close();
    },
  };
}

/** The names that aliases of the generation lead to, with the owners of the aliases. */
function wanted({ catalog }: Current): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { aliases = [] } of catalog.zones) {
    for (const { foreign, name } of aliases) {
      if (foreign === undefined) continue;
      const owners = names.get(foreign) ?? [];
      owners.push(name);
      names.set(foreign, owners);
    }
  }
  return names;
}

/** Begins to resolve new names, and forgets those that no alias leads to any more. */
function follow(keeper: Keeper): void {
  const { parts, names, known } = keeper;
  const all = wanted(parts.current());
  for (const [name, { cancel }] of names) {
    if (all.has(name)) continue;
    cancel?.();
    names.delete(name);
    known.delete(name);
    keeper.pending.delete(name);
    keeper.save();
  }
  // Those of an earlier run.
  for (const name of known.keys()) if (!all.has(name)) known.delete(name);
  parts.alarms.retain('alias_unresolved', new Set(all.keys()));
  for (const name of all.keys()) {
    if (names.has(name)) continue;
    const kept: Kept = { name, cancel: undefined, failures: 0, failingSinceMs: undefined, resolved: 0, failed: 0, lastGoodMs: undefined }; // prettier-ignore
    names.set(name, kept);
    // Many names are spread, so that resolvers and sockets are not flooded.
    kept.cancel = parts.clock.after(Math.floor(names.size / AT_ONCE) * SPREAD_MS, () => void attempt(keeper, kept));
  }
}

async function attempt(keeper: Keeper, kept: Kept): Promise<void> {
  const { parts, names, known } = keeper;
  const { clock } = parts;
  kept.cancel = undefined;
  const { a, aaaa } = await parts.resolve(kept.name, parts.current().settings.resolvers);
  if (names.get(kept.name) !== kept) return;
  const before = known.get(kept.name);
  const addressesOf = (found: FoundFamily, last: readonly string[] = []): readonly string[] => (found.ok ? [...found.addresses].sort() : last); // prettier-ignore
  const ttls = [a, aaaa].flatMap((found) => (found.ok && found.addresses.length > 0 ? (found.ttlSeconds ?? []) : []));
  if (ttls.length === 0) {
    failed(keeper, kept, [a, aaaa].flatMap((found) => (found.ok ? [] : found.why))[0] ?? 'it has no addresses');
    return;
  }
  kept.failures = 0;
  kept.failingSinceMs = undefined;
  kept.resolved++;
  kept.lastGoodMs = clock.now();
  parts.alarms.clear('alias_unresolved', kept.name);
  const fresh = Math.min(...ttls);
  const found = { a: addressesOf(a, before?.a), aaaa: addressesOf(aaaa, before?.aaaa) };
  const isSame = before !== undefined && textOf(found) === textOf(before);
  // Resolvers give the rest of the TTL: the greatest that was seen is that of the records.
  const ttlSeconds = isSame ? Math.max(before.ttlSeconds, fresh) : fresh;
  known.set(kept.name, { ...found, ttlSeconds, foundAtMs: Date.now() });
  keeper.save();
  if (!isSame || ttlSeconds !== before.ttlSeconds) {
    if (!isSame) tell(keeper, kept, before, found);
    keeper.pending.add(kept.name);
    void apply(keeper);
  }
  again(keeper, kept, Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, fresh)));
}

function again(keeper: Keeper, kept: Kept, seconds: number): void {
  kept.cancel = keeper.parts.clock.after(seconds * 1000, () => void attempt(keeper, kept));
}

function failed(keeper: Keeper, kept: Kept, why: string): void {
  const { clock, alarms, log, current } = keeper.parts;
  kept.failed++;
  kept.failures++;
  kept.failingSinceMs ??= clock.now();
  const owners = (wanted(current()).get(kept.name) ?? []).slice(0, 3).join(', ');
  const now = keeper.known.has(kept.name) ? 'keeps the last addresses' : 'gets SERVFAIL';
  if (kept.failures === 1) log.warn(`${kept.name} cannot be resolved (${why}): the ALIAS ${owners} ${now}`);
  const lastingMs = clock.now() - kept.failingSinceMs;
  if (lastingMs >= ALARM_AFTER_MS) {
    const message = `${kept.name} could not be resolved for ${lasting(lastingMs / 1000)}: ${why}. The ALIAS ${owners} ${now}.`;
    alarms.raise('alias_unresolved', message, kept.name);
  }
  again(keeper, kept, Math.min(MOST_RETRY_SECONDS, LEAST_SECONDS * 2 ** Math.min(10, kept.failures - 1)));
}

function textOf({ a, aaaa }: Pick<ForeignAddresses, 'a' | 'aaaa'>): string {
  return [...a, ...aaaa].join(' ');
}

function tell(
  { parts }: Keeper,
  { name }: Kept,
  before: ForeignAddresses | undefined,
  found: Pick<ForeignAddresses, 'a' | 'aaaa'>,
): void {
  const [from, to] = [before === undefined ? null : textOf(before), textOf(found)];
  const owners = (wanted(parts.current()).get(name) ?? []).slice(0, 3).join(', ');
  const message = `${name} has ${from === null ? '' : 'other '}addresses, which the ALIAS ${owners} answers with: ${to}`;
  parts.log.info(message);
  parts.events.add({ kind: 'alias', message, from, to });
}

/** Puts the addresses of pending names in force, in one generation at a time. */
async function apply(keeper: Keeper): Promise<void> {
  if (keeper.isApplying) return;
  keeper.isApplying = true;
  const { parts, pending } = keeper;
  let isDone = true;
  while (pending.size > 0 && isDone && keeper.isStarted) {
    const names = new Set(pending);
    pending.clear();
    const { ok } = await parts.update(() => {
      const { zones } = parts.current().catalog;
      const leads = zones.filter(({ aliases }) => aliases?.some(({ foreign }) => foreign !== undefined && names.has(foreign))); // prettier-ignore
      return Promise.resolve({ files: leads.map(({ file }) => file) });
    });
    isDone = ok;
    if (!ok) for (const name of names) pending.add(name);
  }
  keeper.isApplying = false;
  if (pending.size > 0 && keeper.isStarted) parts.clock.after(LEAST_SECONDS * 1000, () => void apply(keeper));
}

/** Asks the resolvers of `/etc/resolv.conf`, or these. */
async function resolveName(name: string, servers: readonly Endpoint[]): ReturnType<ResolveName> {
  const resolver = new Resolver({ timeout: QUERY_MS, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers.map(formatEndpoint));
  const [a, aaaa] = await Promise.all([
    familyOf(() => resolver.resolve4(name, { ttl: true })),
    familyOf(() => resolver.resolve6(name, { ttl: true })),
  ]);
  return { a, aaaa };
}

/** Answers that say there are none. */
const NONE: ReadonlySet<string> = new Set(['ENODATA', 'ENOTFOUND']);

async function familyOf(
  ask: () => Promise<readonly { readonly address: string; readonly ttl: number }[]>,
): Promise<FoundFamily> {
  try {
    const records = await ask();
    const ttls = records.map(({ ttl }) => ttl);
    return { ok: true, addresses: [...new Set(records.map(({ address }) => address))], ttlSeconds: ttls.length > 0 ? Math.min(...ttls) : undefined }; // prettier-ignore
  } catch (error) {
    const code = codeOf(error);
    return NONE.has(code) ? { ok: true, addresses: [], ttlSeconds: undefined } : { ok: false, why: code };
  }
}
