/**
 * Exchanges serials between the nodes of a fleet: for each zone, the latest serial of each content. Runs on a clock and
 * callbacks; the rule that chooses a serial is in zones/agree-serial.ts.
 *
 * - Each change of the contents that a node serves has a number (`edition`) and is sent at once. The node sends its
 *   edition again every 10 s. A peer that has missed a change asks for all contents, in pages.
 * - A node keeps all serials that it has heard, also in `state_dir`: content that no node serves at the moment keeps
 *   its serial.
 */
import { isRecord, recordIn } from '../config/unknown-values.ts';
import type { Clock } from '../health/clock.ts';
import { isLaterSerial, latestSerial, serialAfter } from '../wire/serial.ts';

const SERIAL_MESSAGE_VERSION = 1;
/** Zones per message and page. With long names and all contents, a message has 300 KB; the limit of NATS is 1 MB. */
export const ZONES_PER_MESSAGE = 500;
/** Contents remembered per zone: those with the latest serials. */
const CONTENTS_PER_ZONE = 4;
/** The most zones kept per peer, and in the memory. */
const MAX_ZONES = 200_000;
const TICKS_PER_SUMMARY = 10;
/** Peers that join within this time get one message together. */
const GREET_MS = 200;
/** The most peers asked for pages at a time, and the most attempts per peer, because a peer may change meanwhile. */
const MAX_FETCHES = 4;
const FETCH_ATTEMPTS = 3;
/** If no node serves the latest content of a zone for this time, the content that is served gets a later serial. */
const ABANDONED_TICKS = 30;

/** `keys`: a digest of the keys that sign the zone; undefined if it is not signed. */
export type ZoneContent = { readonly content: string; readonly serial: number; readonly keys?: string | undefined };
/** By zone: the latest serial of each content. */
export type ZoneSerials = ReadonlyMap<string, ReadonlyMap<string, number>>;

type Pair = readonly [content: string, serial: number];
/** The first pair is in force. Without pairs, the zone is not served any more. */
type Row = readonly [zone: string, pairs: readonly Pair[]];
type Message = {
  readonly node: string;
  readonly run: string;
  readonly edition: number;
  /** The changes since the previous edition. If they are absent, the receiver asks for all contents. */
  readonly changes?: readonly Row[] | undefined;
  readonly keys?: Keys | undefined;
};
/** By zone of the rows: the `keys` of its content. Nodes of earlier versions do not send them, and ignore them. */
type Keys = Readonly<Record<string, string>>;
type Page = {
  readonly run: string;
  readonly edition: number;
  readonly total: number;
  readonly rows: readonly Row[];
  readonly keys: Keys;
};

/** `edition` is -1 until the peer has sent the contents that it serves. */
type Peer = { run: string; edition: number; readonly serves: Map<string, ZoneContent> };

export type SerialExchangeOptions = {
  readonly node: string;
  /** Random per process. */
  readonly run: string;
  readonly clock: Clock;
  readonly send: (message: Uint8Array) => void;
  /** Asks a peer for a page, which its `page` returns. Undefined if the peer does not reply. */
  readonly ask: (node: string, request: Uint8Array) => Promise<Uint8Array | undefined>;
  /** Called when this node has learned new serials. */
  readonly learned: () => void;
  /** As saved by the last run. */
  readonly saved?: unknown;
};

export type SerialExchange = {
  /** Sets the contents that this node serves, by zone, in place of the previous ones. */
  readonly serve: (zones: ReadonlyMap<string, ZoneContent>) => void;
  /** `from` is the node over whose subject the message came. */
  readonly hear: (message: Uint8Array, from?: string) => void;
  /** The reply to a peer that asks for a page. */
  readonly page: (request: Uint8Array) => Uint8Array;
  /** Call once per second. `fresh` has the fresh peers, `known` all peers that belong to the fleet. */
  readonly tick: (fresh: ReadonlySet<string>, known: readonly string[]) => void;
  /** Sends this node's edition to all peers. Call when this node connects, and when a peer joins. */
  readonly greet: () => void;
  /** Whether this node knows all contents that these peers serve. */
  readonly hasHeard: (peers: Iterable<string>) => boolean;
  readonly forget: (node: string) => void;
  readonly known: () => ZoneSerials;
  /** The contents that this node or a peer serves, by zone; undefined for a peer that has not sent them. */
  readonly servedBy: (node: string) => ReadonlyMap<string, ZoneContent> | undefined;
  /** For `state_dir`. */
  readonly toSave: () => unknown;
};

type State = {
  readonly options: SerialExchangeOptions;
  readonly memory: Memory;
  readonly peers: Map<string, Peer>;
  /** The contents that this node serves, by zone. */
  own: ReadonlyMap<string, ZoneContent>;
  edition: number;
  ticks: number;
  /** Peers to ask for all contents that they serve. */
  readonly queue: string[];
  fetching: number;
  isGreeting: boolean;
  /** By zone: the tick since which no node serves its latest content. */
  readonly abandoned: Map<string, number>;
};

export function createSerialExchange(options: SerialExchangeOptions): SerialExchange {
  const memory = createMemory();
  const peers = new Map<string, Peer>();
  const state: State = {
    ...{ options, memory, peers, own: new Map(), edition: 0, ticks: 0 },
    ...{ queue: [], fetching: 0, isGreeting: false, abandoned: new Map() },
  };
  for (const row of rowsOf(options.saved)) memory.take(row);
  return {
    serve: (zones) => {
      serve(state, zones);
    },
    hear: (octets, from) => {
      const message = readMessage(octets);
      if (message === undefined || message.node === options.node || message.node !== (from ?? message.node)) return;
      hear(state, message);
    },
    page: (request) => pageOf(state, request),
    tick: (fresh, known) => {
      state.ticks += 1;
      if (state.ticks % TICKS_PER_SUMMARY !== 0) return;
      tell(state);
      if (learn(state, raised(state, fresh, known))) options.learned();
    },
    greet: () => {
      greet(state);
    },
    hasHeard: (names) => [...names].every((name) => isHeard(peers.get(name))),
    forget: (name) => {
      peers.delete(name);
    },
    known: memory.all,
    servedBy: (name) => {
      if (name === options.node) return state.own;
      const peer = peers.get(name);
      return isHeard(peer) ? peer?.serves : undefined;
    },
    toSave: () => [...memory.all()].map(([zone, contents]): Row => [zone, [...contents]]),
  };
}

function serve(state: State, zones: ReadonlyMap<string, ZoneContent>): void {
  const before = state.own;
  state.own = zones;
  const changed = [...zones].filter(([zone, { content, serial, keys }]) => {
    const served = before.get(zone);
    return served?.content !== content || served.serial !== serial || served.keys !== keys;
  });
  const removed = [...before.keys()].filter((zone) => !zones.has(zone));
  const rows = [...changed.map(([zone]) => rowOf(state, zone)), ...removed.map((zone): Row => [zone, []])];
  if (rows.length === 0) return;
  learn(state, changed.map(([zone, { content, serial }]) => [zone, [[content, serial]]])); // prettier-ignore
  state.edition += 1;
  tell(state, rows.length <= ZONES_PER_MESSAGE ? rows : undefined);
}

/** A zone's row: the pair of the content that this node serves, then the other pairs that it knows. */
function rowOf({ own, memory }: State, zone: string): Row {
  const served = own.get(zone);
  if (served === undefined) return [zone, []];
  const others = [...(memory.get(zone) ?? [])].filter(([content]) => content !== served.content);
  return [zone, [[served.content, served.serial], ...others]];
}

function tell(state: State, changes?: readonly Row[]): void {
  const { options, edition } = state;
  const { node, run, send } = options;
  const keys = changes && keysOf(state, changes);
  send(Buffer.from(JSON.stringify({ version: SERIAL_MESSAGE_VERSION, node, run, edition, changes, keys })));
}

function keysOf({ own }: State, rows: readonly Row[]): Keys {
  return Object.fromEntries(
    rows.flatMap(([zone]): (readonly [string, string])[] => {
      const keys = own.get(zone)?.keys;
      return keys === undefined ? [] : [[zone, keys]];
    }),
  );
}

function greet(state: State): void {
  if (state.isGreeting) return;
  state.isGreeting = true;
  state.options.clock.after(GREET_MS, () => {
    state.isGreeting = false;
    tell(state);
  });
}

function pageOf(state: State, request: Uint8Array): Uint8Array {
  const { own, edition, options } = state;
  const from = recordIn(request)?.['from'];
  const start = isCount(from) ? from : 0;
  const rows = [...own.keys()].slice(start, start + ZONES_PER_MESSAGE).map((zone) => rowOf(state, zone));
  const keys = keysOf(state, rows);
  const page = { version: SERIAL_MESSAGE_VERSION, run: options.run, edition, total: own.size, rows, keys };
  return Buffer.from(JSON.stringify(page));
}

function hear(state: State, { node, run, edition, changes, keys }: Message): void {
  const peer = state.peers.get(node);
  // A new or restarted peer does not know this node's edition.
  if (peer?.run !== run) greet(state);
  else {
    if (peer.edition >= edition) return;
    if (peer.edition + 1 === edition && changes !== undefined) {
      peer.edition = edition;
      take(state, peer, changes, keys);
      return;
    }
  }
  if (peer === undefined) state.peers.set(node, { run: '', edition: -1, serves: new Map() });
  if (!state.queue.includes(node)) state.queue.push(node);
  fetchNext(state);
}

function take(state: State, peer: Peer, rows: readonly Row[], keys: Keys = {}): void {
  for (const [zone, [first]] of rows) {
    if (first === undefined) peer.serves.delete(zone);
    else if (peer.serves.size < MAX_ZONES) {
      peer.serves.set(zone, { content: first[0], serial: first[1], keys: keys[zone] });
    }
  }
  if (learn(state, rows)) state.options.learned();
}

/** True if one of them is new. */
function learn({ memory }: State, rows: readonly Row[]): boolean {
  return rows.map((row) => memory.take(row)).includes(true);
}

function fetchNext(state: State): void {
  if (state.fetching >= MAX_FETCHES) return;
  const name = state.queue.shift();
  if (name === undefined) return;
  state.fetching += 1;
  void fetchAll(state, name).finally(() => {
    state.fetching -= 1;
    fetchNext(state);
  });
}

/** Asks a peer for all contents that it serves. */
async function fetchAll(state: State, name: string): Promise<void> {
  const { ask } = state.options;
  for (let attempt = 0; attempt < FETCH_ATTEMPTS; attempt++) {
    const rows: Row[] = [];
    const keys: Record<string, string> = {};
    for (let first: Page | undefined; ;) {
      const page = readPage(await ask(name, Buffer.from(JSON.stringify({ from: rows.length }))));
      first ??= page;
      // No answer, or the peer has changed meanwhile.
      if (page === undefined || page.run !== first?.run || page.edition !== first.edition) break;
      rows.push(...page.rows);
      Object.assign(keys, page.keys);
      if (page.rows.length === 0 && rows.length < page.total) break;
      if (rows.length < page.total && rows.length < MAX_ZONES) continue;
      const peer: Peer = { run: page.run, edition: page.edition, serves: new Map() };
      state.peers.set(name, peer);
      take(state, peer, rows, keys);
      return;
    }
  }
}

/**
 * If no node has served the latest content of a zone for ABANDONED_TICKS: a later serial for the content that this node
 * serves.
 */
function raised(state: State, fresh: ReadonlySet<string>, known: readonly string[]): readonly Row[] {
  const { peers, own, memory, abandoned, ticks } = state;
  const isComplete = known.every((peer) => fresh.has(peer) && isHeard(peers.get(peer)));
  const others = [...fresh].flatMap((peer) => peers.get(peer)?.serves ?? []);
  const zones = isComplete ? abandonedZones(own, others, memory.all()) : [];
  for (const zone of abandoned.keys()) if (!zones.includes(zone)) abandoned.delete(zone);
  return zones.flatMap((zone): Row[] => {
    const since = abandoned.get(zone) ?? ticks;
    abandoned.set(zone, since);
    const served = own.get(zone);
    if (served === undefined || ticks - since < ABANDONED_TICKS) return [];
    return [[zone, [[served.content, serialAfter(latestSerial(memory.get(zone)?.values() ?? []), 0)]]]];
  });
}

function isHeard(peer: Peer | undefined): boolean {
  return peer !== undefined && peer.edition >= 0;
}

/**
 * The zones whose serial this node must raise: no node serves the content with the latest serial any more, because
 * nodes that had lost their state withdrew it. The node whose served content has the latest serial raises it.
 */
function abandonedZones(
  own: ReadonlyMap<string, ZoneContent>,
  others: readonly ReadonlyMap<string, ZoneContent>[],
  known: ZoneSerials,
): readonly string[] {
  const isLatest = (zone: string, { serial }: ZoneContent): boolean =>
    others.every((serves) => {
      const theirs = serves.get(zone);
      return theirs === undefined || (!isLaterSerial(theirs.serial, serial) && isBehind(known.get(zone), theirs));
    });
  const behind = [...own].filter(([zone, served]) => isBehind(known.get(zone), served) && isLatest(zone, served));
  return behind.map(([zone]) => zone);
}

/** Whether another content of the zone has a later serial than the one that is served. */
function isBehind(known: ReadonlyMap<string, number> | undefined, { content, serial }: ZoneContent): boolean {
  return [...(known ?? [])].some(([other, later]) => other !== content && isLaterSerial(later, serial));
}

/** The latest serials by content, of all zones. */
type Memory = {
  /** True if something is new. */
  readonly take: (row: Row) => boolean;
  readonly get: (zone: string) => ReadonlyMap<string, number> | undefined;
  readonly all: () => ZoneSerials;
};

function createMemory(): Memory {
  const zones = new Map<string, ReadonlyMap<string, number>>();
  return {
    get: (zone) => zones.get(zone),
    all: () => zones,
    take: ([zone, pairs]) => {
      const before = zones.get(zone) ?? new Map<string, number>();
      if (before.size === 0 && zones.size >= MAX_ZONES) return false;
      const after = new Map(before);
      for (const [content, serial] of pairs) {
        const known = after.get(content);
        if (known === undefined || isLaterSerial(serial, known)) after.set(content, serial);
      }
      const latest = [...after].sort(([, a], [, b]) => (a === b ? 0 : isLaterSerial(a, b) ? -1 : 1));
      const kept = new Map(latest.slice(0, CONTENTS_PER_ZONE));
      const isSame =
        kept.size === before.size && [...kept].every(([content, serial]) => before.get(content) === serial);
      if (!isSame) zones.set(zone, kept);
      return !isSame;
    },
  };
}

/** Undefined for a message of another version or form: it is ignored. */
function readMessage(octets: Uint8Array): Message | undefined {
  const { version, node, run, edition, changes, keys } = recordIn(octets) ?? {};
  if (version !== SERIAL_MESSAGE_VERSION || !isShort(node) || !isShort(run) || !isCount(edition)) return undefined;
  if (changes === undefined) return { node, run, edition };
  const rows = rowsOf(changes);
  return Array.isArray(changes) && rows.length === changes.length
    ? { node, run, edition, changes: rows, keys: keysIn(keys) }
    : undefined;
}

function readPage(octets: Uint8Array | undefined): Page | undefined {
  if (octets === undefined) return undefined;
  const { version, run, edition, total, rows, keys } = recordIn(octets) ?? {};
  if (version !== SERIAL_MESSAGE_VERSION || !isShort(run) || !isCount(edition) || !isCount(total)) return undefined;
  return { run, edition, total, rows: rowsOf(rows), keys: keysIn(keys) };
}

function rowsOf(value: unknown): readonly Row[] {
  return Array.isArray(value) ? (value as readonly unknown[]).filter(isRow) : [];
}

function keysIn(value: unknown): Keys {
  const entries = Object.entries(isRecord(value) ? value : {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => isShort(entry[1])));
}

const MAX_TEXT = 255;

function isShort(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isRow(value: unknown): value is Row {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [zone, pairs] = value as readonly unknown[];
  return isShort(zone) && Array.isArray(pairs) && pairs.length <= CONTENTS_PER_ZONE + 1 && pairs.every(isPair);
}

function isPair(value: unknown): value is Pair {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [content, serial] = value as readonly unknown[];
  return isShort(content) && isCount(serial) && serial <= 0xffff_ffff;
}
