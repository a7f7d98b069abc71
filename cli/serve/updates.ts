/**
 * Answers dynamic updates (RFC 2136): an update is answered when it is in the journal and every thread serves it.
 * Updates that arrive while others are put in force wait, and then share one write and one generation.
 */
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { ruleCovers, ruleIsFor } from '../../config/read-updates.ts';
import type { Settings } from '../../config/settings.ts';
import { messageOf } from '../../config/unknown-values.ts';
import { BAD } from '../../health/state-file.ts';
import { TRANSPORT, type Deferred } from '../../server/contract.ts';
import { createRests } from '../../server/threads/rests.ts';
import {
  labelsBelow,
  readUpdateRequest,
  updateResponse,
  zoneRecords,
  type UpdateRequest,
  type ZoneRecords,
} from '../../server/transfer/answer-update.ts';
import type { EventLog } from '../../status/events.ts';
import type { Reloaded } from '../../status/runtime.ts';
import { canonical, formatName, nameKey, parseName, type Name } from '../../wire/name.ts';
import { CLASS, EDE, RCODE, TYPE } from '../../wire/types.ts';
import type { UpdateMessage } from '../../wire/update.ts';
import { isWatched, type ZoneInfo } from '../../zones/catalog.ts';
import { viewImage } from '../../zones/image/image.ts';
import { journalPath, type DynamicRecords, type JournalEntry } from '../../zones/journal/journal-file.ts';
import {
  processUpdate,
  type NameChange,
  type SetsOfName,
  type UpdatedZone,
  type UpdateRefusal,
} from '../../zones/journal/process-update.ts';
import { digestOfData, markOfSet, setKey, type DynamicSet, type HeldSet } from '../../zones/journal/record-set.ts';
import { createInPlace, type InPlace } from './change-in-place.ts';
import { entryForOrder, namesOf, type FleetRecords, type ZoneOrder } from './fleet-records.ts';
import type { Current } from './generation.ts';
import { openJournal, type JournalWriter } from './journal-writer.ts';
import type { KeptUpdates } from './reload.ts';
import { createUpdateNews, type Sender, type ToldUpdate, type UpdateNews } from './update-news.ts';
import type { ZoneHistories } from './zone-histories.ts';

export type Updates = {
  /** Resolves to the response; to nothing if the signature is no longer valid. */
  readonly answer: (message: Deferred) => Promise<Uint8Array | undefined>;
  /** Processes an update that did not come as a message. Resolves when it is on the disk and served. */
  readonly change: (asked: AskedUpdate) => Promise<UpdateOutcome>;
  /** What the journal of a zone has. */
  readonly journaled: (apex: Name) => DynamicRecords;
  /** Resolves when nothing is written to a journal, nor taken back. Later updates wait for `reopen` or `stop`. */
  readonly hold: () => Promise<void>;
  /** Another server may have written the journals: they are read again, and put in force. */
  readonly reopen: () => void;
  /**
   * After a load of the files: forgets dynamic records that they have replaced. In a fleet, puts those in force that
   * the zones, rules and files did not permit before.
   */
  readonly followFiles: () => Promise<void>;
  /**
   * In a fleet: puts its records in force, from now on as soon as they arrive. Resolves when those known are, or when
   * another server takes over.
   */
  readonly join: () => Promise<void>;
  /** Another node has changed records. */
  readonly ordered: () => void;
  readonly stop: () => Promise<void>;
};

export type UpdatesOptions = {
  readonly current: () => Current;
  readonly stateDir: string;
  /** Keeps updates while no reload runs, and puts them in force. */
  readonly update: (keep: () => Promise<KeptUpdates>) => Promise<Reloaded>;
  /** Hear which names the next call of `update` changes. */
  readonly histories: Pick<ZoneHistories, 'expect' | 'changed'>;
  readonly events: Pick<EventLog, 'add'>;
  readonly stopping: () => boolean;
  /** Undefined without a fleet. */
  readonly fleet?: FleetRecords | undefined;
  readonly alarms: Pick<Alarms, 'raise' | 'clear'>;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
};

/** An update, however it arrived. */
export type AskedUpdate = {
  /** The zone's canonical name. */
  readonly apex: Name;
  readonly update: UpdateMessage;
  /** What the sender may change, when the update is processed. */
  readonly permit: () => UpdatedZone['mayChange'] | UpdateRefusal;
  readonly refuse?: (zone: ProcessedZone) => Unfit | undefined;
  /** The serial that the zone must have. */
  readonly serial?: number | undefined;
  /** True: nothing changes. */
  readonly isDryRun?: boolean;
  readonly sender: Sender;
};

/** A zone when an update of it is processed. */
export type ProcessedZone = {
  readonly serial: number;
  readonly setsOf: (name: Name) => SetsOfName | undefined;
};

/** The records of a name and type before and after an update; undefined if there are none. */
export type ChangedSet = {
  readonly name: Name;
  readonly type: number;
  readonly before: HeldSet | undefined;
  readonly after: HeldSet | undefined;
};

export type UpdateOutcome =
  /** `serial` is that of the zone that is served now. */
  | { readonly kind: 'done'; readonly serial: number; readonly changes: readonly ChangedSet[] }
  | { readonly kind: 'refused'; readonly refusal: UpdateRefusal }
  /** By `refuse`. */
  | { readonly kind: 'unfit'; readonly unfit: Unfit }
  | { readonly kind: 'other serial'; readonly serial: number }
  /** `isInvalid`: the zone would not be valid. */
  | { readonly kind: 'not kept'; readonly why: string; readonly isInvalid: boolean };

/** A condition that an update has beside those of RFC 2136, and that is not met. */
export type Unfit = { readonly kind: 'absent' | 'precondition' | 'conflict'; readonly why: string };

type Waiting = {
  readonly asked: AskedUpdate;
  readonly settle: (settled: UpdateOutcome) => void;
};

type UpdatesParts = UpdatesOptions & {
  readonly news: UpdateNews;
  readonly inPlace: InPlace;
  /** Whether an order of the fleet is about to be put in force. */
  readonly obeysNext: () => boolean;
  /** Whether another server waits until what is under way ends. */
  readonly isHeld: () => boolean;
};

const NOT_KEPT: UpdateRefusal = {
  rcode: RCODE.SERVFAIL,
  info: { code: EDE.NOT_READY, text: 'the update cannot be kept' },
};
const FAILED: UpdateOutcome = { kind: 'not kept', why: 'internal error', isInvalid: false };
/** Updates that are put in force together. */
const MOST_TOGETHER = 1000;
/** When to try again to put records of the fleet in force. */
const AGAIN_MS = 5000;

export function createUpdates(given: UpdatesOptions): Updates {
  /** False until `join`, and for a time after a failure. */
  let obeys = false;
  const options = {
    ...{ ...given, news: createUpdateNews(given.events, given.log), inPlace: createInPlace() },
    obeysNext: () => obeys && given.fleet?.next() !== undefined,
    isHeld: () => queue.isHeld(),
  };
  const journals = new Map<string, JournalWriter>();
  /** They run between two batches of updates, before the next one. */
  const jobs: (() => Promise<void>)[] = [];

  const journalOf = (apex: Name): JournalWriter => {
    const key = nameKey(apex);
    const found = journals.get(key) ?? openJournal(journalPath(options.stateDir, apex));
    journals.set(key, found);
    return found;
  };
  const obey = async (order: ZoneOrder): Promise<void> => {
    if (await carryOut(order, journalOf, options)) return;
    if (options.fleet?.leave(order) === true) return;
    obeys = false;
    setTimeout(() => {
      obeys = true;
      queue.wake();
    }, AGAIN_MS).unref();
  };
  const nextJob = (): (() => Promise<void>) | undefined => {
    const order = obeys ? options.fleet?.next() : undefined;
    const job = jobs.shift() ?? (order && (() => obey(order)));
    return job && (() => job().catch(internalError(options)));
  };
  const queue = createQueue(nextJob, (batch) => takeSafely(batch, journalOf, options));
  /** Resolves when nothing is left to do. */
  const between = async (job: () => Promise<void>): Promise<void> => {
    jobs.push(job);
    await queue.ended();
  };
  return {
    answer: async ({ message, peer, transport }) => {
      const { transfer } = options.current().settings;
      const request = readUpdateRequest({ kind: 'deferred', message, peer, transport }, transfer, nowSeconds());
      if (!request) return undefined;
      // RFC 2136 3.1.1: the zone section has one SOA.
      const asked = request.update?.zone.type === TYPE.SOA ? askedBy(request, request.update, peer, options) : FORMERR;
      const refusal = 'rcode' in asked ? asked : refusalOf(await queue.change(asked));
      const { update, key } = request;
      if (update && refusal !== DONE) options.news.refused({ zone: update.zone.name, key: key.label, peer, records: update.updates }, refusal); // prettier-ignore
      // After a takeover the other server answers, when the client sends the update again.
      if (refusal === NOT_KEPT && options.stopping() && transport === TRANSPORT.UDP) return undefined;
      return updateResponse(request, refusal, nowSeconds);
    },
    change: queue.change,
    journaled: (apex) => journalOf(apex).records(),
    hold: queue.hold,
    reopen: () => {
      for (const journal of journals.values()) void journal.close();
      journals.clear();
      void between(() => readJournals(options));
      queue.goOn();
    },
    followFiles: () =>
      between(async () => {
        await dropReplaced(journalOf, options);
        options.fleet?.again();
      }),
    join: async () => {
      obeys = true;
      await Promise.race([queue.ended(), queue.begunHold()]);
    },
    ordered: () => {
      if (obeys) queue.wake();
    },
    stop: async () => {
      // After a takeover the other server does what is left, and has the orders of the fleet.
      jobs.length = 0;
      obeys = false;
      queue.goOn();
      await queue.ended();
      for (const journal of journals.values()) await journal.close();
    },
  };
}

/** Updates that wait for their turn. */
type Queue = {
  /** Resolves when the update has been processed. */
  readonly change: (asked: AskedUpdate) => Promise<UpdateOutcome>;
  /** Looks for work. */
  readonly wake: () => void;
  /** Looks for work. Resolves when nothing is left to do. */
  readonly ended: () => Promise<void>;
  readonly isHeld: () => boolean;
  /** Resolves when the next `hold` begins. */
  readonly begunHold: () => Promise<void>;
  /** Resolves when no job or batch is under way. None begins until `goOn`. */
  readonly hold: () => Promise<void>;
  readonly goOn: () => void;
};

/** Does one job after the other, and then one batch. `take` returns the updates that must wait. Neither rejects. */
function createQueue(
  nextJob: () => (() => Promise<void>) | undefined,
  take: (batch: readonly Waiting[]) => Promise<readonly Waiting[]>,
): Queue {
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  /** The job or batch under way, or the last one. */
  let step: Promise<void> | undefined;
  let held: PromiseWithResolvers<undefined> | undefined;
  let beginsHold = Promise.withResolvers<undefined>();

  const takeNext = async (): Promise<void> => {
    const batch = takeBatch(waiting);
    const taken = new Set(batch);
    waiting = waiting.filter((each) => !taken.has(each));
    const later = await take(batch);
    waiting = [...later, ...waiting];
  };
  const work = async (): Promise<void> => {
    for (;;) {
      while (held) await held.promise;
      const next = nextJob() ?? (waiting.length > 0 ? takeNext : undefined);
      if (!next) break;
      await (step = next());
    }
    running = undefined;
  };
  const wake = (): void => {
    running ??= Promise.resolve().then(work);
  };
  return {
    change: (asked) =>
      new Promise((settle) => {
        waiting.push({ asked, settle });
        wake();
      }),
    wake,
    ended: async () => {
      wake();
      await running;
    },
    begunHold: () => beginsHold.promise,
    isHeld: () => held !== undefined,
    hold: async () => {
      held ??= Promise.withResolvers();
      beginsHold.resolve(undefined);
      await step;
    },
    goOn: () => {
      if (!held) return;
      held.resolve(undefined);
      held = undefined;
      beginsHold = Promise.withResolvers();
    },
  };
}

/** Takes an error that no code expects: the updates after it are processed nevertheless. */
function internalError({ log }: UpdatesOptions): (error: unknown) => void {
  return (error) => {
    log.error({ err: error }, 'internal error: dynamic updates could not be processed');
  };
}

/** Puts in force what the journals have. */
async function readJournals({ current, stateDir, update }: UpdatesOptions): Promise<void> {
  const { settings, catalog } = current();
  const files = catalog.zones.flatMap(({ name, file }) => existsSync(journalPath(stateDir, apexOfName(name))) ? file : []); // prettier-ignore
  if (settings.updates) await update(() => Promise.resolve({ files }));
}

/** Those of one zone, in their order: a zone changes in place or not at all. */
function takeBatch(waiting: readonly Waiting[]): readonly Waiting[] {
  const key = nameKey(waiting[0]?.asked.apex ?? new Uint8Array(0));
  return waiting.filter(({ asked }) => nameKey(asked.apex) === key).slice(0, MOST_TOGETHER);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

const DONE: UpdateRefusal = { rcode: RCODE.NOERROR };
const FORMERR: UpdateRefusal = { rcode: RCODE.FORMERR };
const NOTAUTH: UpdateRefusal = { rcode: RCODE.NOTAUTH };

/** The update of a message, or why it is refused. */
function askedBy(
  { key }: UpdateRequest,
  update: UpdateMessage,
  peer: Uint8Array,
  { current }: UpdatesOptions,
): AskedUpdate | UpdateRefusal {
  if (update.zone.class !== CLASS.IN) return NOTAUTH;
  const apex = canonical(update.zone.name);
  return {
    ...{ apex, update, sender: { key: key.label, peer } },
    permit: () => {
      const rules = rulesFor(current().settings, key.label, apex, peer);
      if (rules.length === 0) return prohibited('updates has no rule for this key and zone');
      return (name, type) => rules.some((rule) => ruleCovers(rule, labelsBelow(name, apex), type));
    },
  };
}

function prohibited(text: string): UpdateRefusal {
  return { rcode: RCODE.REFUSED, info: { code: EDE.PROHIBITED, text } };
}

function refusalOf(settled: UpdateOutcome): UpdateRefusal {
  if (settled.kind === 'refused') return settled.refusal;
  return settled.kind === 'done' ? DONE : NOT_KEPT;
}

/** A zone while updates of one batch are processed. */
type Open = {
  readonly apex: Name;
  readonly info: ZoneInfo;
  readonly records: ZoneRecords;
  readonly journal: JournalWriter;
  /** `markOfSet` of the sets of the journal that the files state themselves. */
  readonly adopted: ReadonlySet<string>;
  /** By `nameKey`: names that earlier updates of the batch have changed. */
  readonly changed: Map<string, NameChange>;
  readonly done: { readonly waiting: Waiting; readonly changes: readonly ChangedSet[] }[];
  readonly entries: JournalEntry[];
  /** The last set of each name and type in `entries`, by `setKey`. */
  readonly latest: Map<string, JournalEntry['sets'][number]>;
  /** What to report once the batch is in force. */
  readonly told: ToldUpdate[];
};

async function takeSafely(
  ...[batch, journalOf, options]: Parameters<typeof takeTogether>
): Promise<readonly Waiting[]> {
  try {
    return await takeTogether(batch, journalOf, options);
  } catch (error) {
    internalError(options)(error);
    for (const { settle } of batch) settle(FAILED);
    return [];
  }
}

/**
 * Processes updates in their order, keeps them, puts them in force, and answers them. Returns those that must wait for
 * the serial that this gives their zone.
 */
async function takeTogether(
  batch: readonly Waiting[],
  journalOf: (apex: Name) => JournalWriter,
  options: UpdatesParts,
): Promise<readonly Waiting[]> {
  const { current, update, log, news } = options;
  const zones = new Map<string, Open>();
  const later: Waiting[] = [];
  const left = new Set(batch);
  const undo: (() => Promise<void>)[] = [];
  let failure: Extract<UpdateOutcome, { kind: 'not kept' }> | undefined;
  const rest = createRests();
  try {
    const result = await update(async () => {
      const image = viewImage(current().loaded.image, current().loaded.atlas);
      for (const each of batch) {
        await rest();
        const outcome = processSafely(each, { image, zones, journalOf, options });
        if (outcome === undefined) continue;
        left.delete(each);
        if (outcome === 'later') later.push(each);
        else each.settle(outcome);
      }
      const changed = [...zones.values()].filter(({ entries }) => entries.length > 0);
      for (const { journal, entries } of changed) undo.push(await journal.append(entries));
      options.histories.expect(new Map(changed.map((zone) => [nameKey(zone.apex), [...zone.changed.values()].map(({ name }) => name)]))); // prettier-ignore
      return { files: changed.map(({ info }) => info.file), inPlace: () => changeInPlace(changed, options) };
    });
    if (!result.ok) {
      const { diagnostics } = result;
      const isInvalid = diagnostics.every(({ code }) => code !== 'PH091');
      failure = { kind: 'not kept', why: diagnostics.map(({ message }) => message).join('; '), isInvalid };
    }
  } catch (error) {
    failure = { kind: 'not kept', why: error instanceof Error ? error.message : String(error), isInvalid: false };
  }
  if (failure === undefined && options.fleet) {
    const outcome = await giveToFleet([...zones.values()], options.fleet);
    if (outcome !== 'given') {
      for (const each of undo) await undone(each, log);
      await update(() => Promise.resolve({ files: [...zones.values()].map(({ info }) => info.file) })); // prettier-ignore
      // The records of the other node are put in force first.
      if (outcome === 'overtaken') return [...left, ...later];
      log.warn(`a dynamic update was not kept: ${outcome.why}`);
      for (const each of left) each.settle(outcome);
      return later;
    }
  }
  if (failure === undefined) {
    for (const { apex, journal, entries } of zones.values()) {
      if (entries.length > 0) await markInForce(journal, log, options.fleet ? options.fleet.revisionOf(apex) : 0);
    }
    const { loaded } = current();
    const served = viewImage(loaded.image, loaded.atlas);
    for (const { done, apex, records } of zones.values()) {
      const serial = done.length === 0 ? 0 : (zoneRecords(served, apex) ?? records).serial;
      for (const { waiting, changes } of done) {
        waiting.settle({ kind: 'done', serial, changes });
        // The response is signed then.
        await rest();
      }
    }
    for (const { journal } of zones.values()) await compact(journal, log);
    for (const { told } of zones.values()) for (const each of told) news.done(each);
    return later;
  }
  for (const each of undo) await undone(each, log);
  if (left.size > 1 && !options.stopping()) {
    // One of them is the cause.
    for (const each of left) {
      later.push(...(options.isHeld() ? [each] : await takeTogether([each], journalOf, options)));
    }
    return later;
  }
  log.warn(`a dynamic update was not kept: ${failure.why}`);
  for (const each of left) each.settle(failure);
  return later;
}

async function compact(journal: JournalWriter, log: UpdatesOptions['log']): Promise<void> {
  await journal.compact().catch((error: unknown) => {
    log.warn({ err: error }, 'a journal cannot be compacted');
  });
}

async function undone(undo: () => Promise<void>, log: UpdatesOptions['log']): Promise<void> {
  await undo().catch((error: unknown) => {
    log.error({ err: error }, 'a journal cannot be restored');
  });
}

/** Gives what a batch changed to the other nodes, and waits until they serve it. */
async function giveToFleet(
  zones: readonly Open[],
  fleet: FleetRecords,
): Promise<'given' | 'overtaken' | Extract<UpdateOutcome, { kind: 'not kept' }>> {
  try {
    for (const { apex, journal, entries } of zones) {
      if (entries.length === 0) continue;
      if ((await fleet.give(apex, journal.records(), entries)) === 'overtaken') return 'overtaken';
      await fleet.served();
    }
    return 'given';
  } catch (error) {
    return { kind: 'not kept', why: error instanceof Error ? error.message : String(error), isInvalid: false };
  }
}

/** Puts the records of an order of the fleet in force. Returns whether they are. */
async function carryOut(
  order: ZoneOrder,
  journalOf: (apex: Name) => JournalWriter,
  { current, update, histories, fleet, log }: UpdatesParts,
): Promise<boolean> {
  const { apex } = order;
  let journal: JournalWriter | undefined;
  let undo: (() => Promise<void>) | undefined;
  /** The revision that the journal has. */
  let held = 0;
  try {
    const result = await update(async () => {
      const records = zoneRecords(viewImage(current().loaded.image, current().loaded.atlas), apex);
      const info = infoOf(current(), apex);
      if (!records || !info || !current().settings.updates) return { files: [] };
      const own = journalOf(apex);
      held = own.order();
      // This node was killed before it had saved the order that the journal has.
      if (held > order.revision) return { files: [] };
      const entry = entryForOrder(order, own.records(), records);
      if (!entry && held < order.revision && own.records().sets.size > 0) journal = own;
      if (!entry) return { files: [] };
      undo = await own.append([entry]);
      journal = own;
      histories.expect(new Map([[nameKey(apex), namesOf(entry)]]));
      return { files: [info.file] };
    });
    if (!result.ok) throw new Error(result.diagnostics.map(({ message }) => message).join('; '));
  } catch (error) {
    log.error(`fleet: dynamic records of ${formatName(apex)} cannot be put in force: ${(error as Error).message}`);
    if (undo) await undone(undo, log);
    fleet?.postpone(order);
    return false;
  }
  if (journal) {
    await markInForce(journal, log, order.revision);
    await compact(journal, log);
  }
  if (undo) log.info(`fleet: dynamic records of ${formatName(apex)} were changed by another node`);
  fleet?.inForce({ apex, revision: Math.max(held, order.revision) });
  return true;
}

/** Puts the updates of a zone in force without the compile thread. */
function changeInPlace(changed: readonly Open[], { current, inPlace, histories }: UpdatesParts): Current | undefined {
  const [zone] = changed;
  if (!zone || changed.length > 1) return undefined;
  const before = current();
  const { apex, records, info } = zone;
  const names = [...zone.changed.values()];
  // The compile thread finds what aliases lead to.
  if (isWatched(before.catalog, [...zone.changed.keys()])) return undefined;
  const { served, setsOf } = records;
  const serial = zone.entries.at(-1)?.serial ?? 0;
  const next = inPlace.change(before, {
    ...{ apex, info, served, serial, names, setsOf },
    journal: zone.journal.records(),
  });
  if (next) histories.changed(before, next, { apex, was: served, names: names.map(({ name }) => name) });
  return next;
}

async function markInForce(journal: JournalWriter, log: UpdatesOptions['log'], order?: number): Promise<void> {
  await journal.mark(order).catch((error: unknown) => {
    log.warn({ err: error }, 'a journal cannot be marked');
  });
}

type BatchParts = {
  readonly image: ReturnType<typeof viewImage>;
  readonly zones: Map<string, Open>;
  readonly journalOf: (apex: Name) => JournalWriter;
  readonly options: UpdatesParts;
};

function processSafely(waiting: Waiting, parts: BatchParts): ReturnType<typeof processOne> {
  try {
    return processOne(waiting, parts);
  } catch (error) {
    parts.options.log.error({ err: error }, 'internal error: a dynamic update failed');
    return FAILED;
  }
}

/**
 * Processes one update. Returns its outcome; undefined if it is done once the batch is in force; `later` if it depends
 * on the serial that the zone gets then, or on an order of the fleet.
 */
function processOne(
  waiting: Waiting,
  { image, zones, journalOf, options }: BatchParts,
): UpdateOutcome | 'later' | undefined {
  const { asked } = waiting;
  const { apex, update } = asked;
  const { settings } = options.current();
  const refused = (refusal: UpdateRefusal): UpdateOutcome => ({ kind: 'refused', refusal });
  const records = zones.get(nameKey(apex))?.records ?? zoneRecords(image, apex);
  const info = infoOf(options.current(), apex);
  if (!records || !info) return refused(NOTAUTH);
  const obstacle = options.fleet?.obstacle(apex);
  // An order that came after this batch was taken is put in force first.
  if (obstacle !== undefined && options.obeysNext()) return 'later';
  if (obstacle !== undefined) return { kind: 'not kept', why: obstacle, isInvalid: false };
  const { catalog: catalogZone } = settings.transfer;
  if (catalogZone && nameKey(catalogZone.name) === nameKey(apex)) {
    return refused(prohibited('the catalog zone is not changed by updates'));
  }
  const mayChange = asked.permit();
  if (typeof mayChange !== 'function') return refused(mayChange);
  const apexKey = nameKey(apex);
  const zone: Open = zones.get(apexKey) ?? { apex, records, info, journal: journalOf(apex), adopted: new Set(info.dynamic?.adopted), changed: new Map(), done: [], entries: [], latest: new Map(), told: [] }; // prettier-ignore
  zones.set(apexKey, zone);
  const { serial } = records;
  if (asked.serial !== undefined && asked.serial !== serial) return { kind: 'other serial', serial };
  if (asked.serial !== undefined && zone.entries.length > 0) return 'later';
  const setsOf = (of: Name): SetsOfName | undefined => {
    const found = zone.changed.get(nameKey(of));
    if (found) return found.sets.size === 0 ? undefined : found.sets;
    return records.setsOf(of);
  };
  const processed = processUpdate(update, { apex, setsOf, isSteered: records.isSteered, mayChange });
  if (!processed.ok) return refused(processed.refusal);
  const unfit = asked.refuse?.({ serial, setsOf });
  if (unfit) return { kind: 'unfit', unfit };
  const changes = processed.changes.flatMap((change) => changedSets(change, setsOf(change.name)));
  if (asked.isDryRun === true) return { kind: 'done', serial, changes };
  const sets = changes.map((change) => journalSet(change, zone));
  for (const change of processed.changes) zone.changed.set(nameKey(change.name), change);
  // Nothing changes: it is answered at once, unless it depends on updates that are not in force yet.
  if (sets.length === 0 && zone.entries.length === 0) return { kind: 'done', serial, changes };
  if (sets.length > 0) {
    for (const set of sets) zone.latest.set(setKey(set.name, set.type), set);
    zone.entries.push({ serial: (serial + 1) >>> 0 || 1, sets });
    zone.told.push({ zone: apex, ...asked.sender, sets });
  }
  zone.done.push({ waiting, changes });
  return undefined;
}

/** The zone in the catalog. */
function infoOf({ catalog }: Current, apex: Name): ZoneInfo | undefined {
  const name = formatName(apex).replace(/(?<=.)\.$/, '');
  return catalog.zones.find((zone) => zone.name === name);
}

function rulesFor(
  { updates = [] }: Settings,
  label: string,
  apex: Name,
  peer: Uint8Array,
): NonNullable<Settings['updates']> {
  return updates.filter((rule) => rule.key === label && ruleIsFor(rule, apex, peer));
}

/** The sets of a name that an update changes. */
function changedSets({ name, sets }: NameChange, held: SetsOfName | undefined): readonly ChangedSet[] {
  const types = new Set([...sets.keys(), ...(held?.keys() ?? [])]);
  return [...types].flatMap((type) => {
    const [before, after] = [held?.get(type), sets.get(type)];
    return isSameSet(type, before, after) ? [] : [{ name, type, before, after }];
  });
}

/** A changed set for the journal. */
function journalSet({ name, type, before, after }: ChangedSet, zone: Open): JournalEntry['sets'][number] {
  const key = setKey(name, type);
  const journaled = zone.journal.records().sets.get(key);
  // The files of a reload may have taken its place, although the journal still has it.
  const isInForce = journaled && !isReplaced(journaled, before, zone.adopted);
  const kept = zone.latest.get(key) ?? (isInForce ? journaled : undefined);
  const base = kept?.base ?? digestOfData(type, before?.data ?? []);
  const set: DynamicSet = { name, type, base, ttlSeconds: after?.ttlSeconds ?? 0, data: after?.data ?? [] };
  // Nothing is left of a set that no file states.
  return { ...set, ...(base === '' && set.data.length === 0 ? { isForgotten: true } : {}) };
}

/** Whether the files have taken the place of a set of the journal: other records are served, or they state the same. */
function isReplaced(set: DynamicSet, served: HeldSet | undefined, adopted: ReadonlySet<string>): boolean {
  return adopted.has(markOfSet(set)) || digestOfData(set.type, served?.data ?? []) !== digestOfData(set.type, set.data);
}

function isSameSet(type: number, a: HeldSet | undefined, b: HeldSet | undefined): boolean {
  if (a?.ttlSeconds !== b?.ttlSeconds || a?.data.length !== b?.data.length) return false;
  return digestOfData(type, a?.data ?? []) === digestOfData(type, b?.data ?? []);
}

/** The name of a zone in the catalog, canonical. */
function apexOfName(name: string): Name {
  return canonical(parseName(name === '.' ? name : `${name}.`));
}

/** The alarm lasts until an operator removes the copy of the damaged journal. */
function tellDamage(path: string, alarms: UpdatesOptions['alarms']): void {
  if (!existsSync(`${path}${BAD}`)) {
    alarms.clear('journal_damaged', path);
    return;
  }
  const message = `The journal was damaged, and dynamic records are lost. Its damaged state is in ${path}${BAD}.`;
  alarms.raise('journal_damaged', message, path);
}

async function dropReplaced(journalOf: (apex: Name) => JournalWriter, options: UpdatesParts): Promise<void> {
  const { current, news, log, alarms } = options;
  const { settings, catalog, loaded } = current();
  if (!settings.updates) return;
  const image = viewImage(loaded.image, loaded.atlas);
  for (const { name, dynamic } of catalog.zones) {
    try {
      const apex = apexOfName(name);
      const path = journalPath(options.stateDir, apex);
      const journal = journalOf(apex);
      if (journal.damage() !== undefined) await journal.repair(`${path}${BAD}`);
      tellDamage(path, options.alarms);
      const records = journal.records().sets.size === 0 && !journal.tail() ? undefined : zoneRecords(image, apex);
      if (!records) continue;
      await settleTail(journal, records, log);
      const { sets, serial } = journal.records();
      const adopted = new Set(dynamic?.adopted);
      const gone = [...sets.values()].filter((set) =>
        isReplaced(set, records.setsOf(set.name)?.get(set.type), adopted),
      );
      if (gone.length === 0) continue;
      await journal.append([{ serial, sets: gone.map((set) => ({ ...set, isForgotten: true })) }]);
      await markInForce(journal, log);
      for (const set of gone) {
        if (!adopted.has(markOfSet(set))) news.dropped(apex, set);
      }
      const stated = gone.filter((set) => adopted.has(markOfSet(set))).length;
      if (stated > 0)
        log.info(`${name}: the journal no longer has what the files state now: ${stated} names and types`);
    } catch (error) {
      log.warn({ err: error }, `the dynamic records of ${name} cannot be compared with its files`);
      const message = `The journal of ${name} cannot be read: ${messageOf(error)}. The zone gets no dynamic updates.`;
      alarms.raise('journal_damaged', message, journalPath(options.stateDir, apexOfName(name)));
    }
  }
}

/** Marks the updates that a crash left without a mark if they are in force; otherwise removes them. */
async function settleTail(journal: JournalWriter, records: ZoneRecords, log: UpdatesOptions['log']): Promise<void> {
  const tail = journal.tail();
  if (!tail) return;
  const isSame = ({ type, ttlSeconds, data }: DynamicSet, held: HeldSet | undefined): boolean =>
    digestOfData(type, held?.data ?? []) === digestOfData(type, data) &&
    (data.length === 0 || held?.ttlSeconds === ttlSeconds);
  // Of a batch, only the last change of a set counts, and only if it is one.
  const last = new Map(tail.sets.map((set) => [setKey(set.name, set.type), set]));
  const changed = [...last].flatMap(([key, set]) => (isSame(set, tail.before.sets.get(key)) ? [] : set));
  const isServed = (set: DynamicSet): boolean => isSame(set, records.setsOf(set.name)?.get(set.type));
  if (changed.some(isServed)) await markInForce(journal, log);
  else await journal.cutTail();
}
