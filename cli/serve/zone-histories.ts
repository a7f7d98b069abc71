/**
 * The differences that updates made to zones, for IXFR (RFC 1995). A difference is found when its generation is put in
 * force, before secondaries are notified. A reload that changes a zone ends its history: secondaries transfer it whole.
 */
import { appendFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { TRANSPORT, type Deferred } from '../../server/contract.ts';
import { udpLimit } from '../../server/transfer/answer-peers.ts';
import { findDifference } from '../../server/transfer/find-difference.ts';
import { allowedPeer, readPeerRequest } from '../../server/transfer/peer-request.ts';
import { ixfrOverUdp, serialInIxfr, type AskedDifference } from '../../server/transfer/transfer.ts';
import type { ServedZone } from '../../server/transfer/zone-messages.ts';
import { canonical, nameKey, parseName, type Name } from '../../wire/name.ts';
import { changedZones, type AliasInfo, type ZoneInfo } from '../../zones/catalog.ts';
import { viewImage } from '../../zones/image/image.ts';
import { condense, octetsOf, type ZoneDifference } from '../../zones/journal/zone-difference.ts';
import {
  formatDifference,
  historyPath,
  isTooLong,
  readHistory,
  shortened,
  type HeldDifference,
} from '../../zones/journal/zone-history.ts';
import type { Follower } from './activate.ts';
import type { Current } from './generation.ts';

export type ZoneHistories = Follower & {
  /** The names, by apex (`nameKey`), that the updates of the next generation change. */
  readonly expect: (names: ReadonlyMap<string, readonly Name[]>) => void;
  /** A zone has been changed in place: `was` is the zone before. */
  readonly changed: (before: Current, next: Current, zone: ChangedZone) => void;
  /** The difference between a serial and the zone now; undefined if it is not known. */
  readonly difference: (asked: Pick<AskedDifference, 'apex' | 'serial'>) => ZoneDifference | undefined;
  /** The response to an IXFR over UDP; undefined if the sender may not transfer zones any more. */
  readonly answer: (message: Deferred) => Uint8Array | undefined;
  /** Resolves when all is written. */
  readonly flushed: () => Promise<void>;
  /** Reads the files again: another server may have written them. */
  readonly reopen: () => void;
};

export type ChangedZone = { readonly apex: Name; readonly was: ServedZone; readonly names: readonly Name[] };

export type ZoneHistoriesOptions = {
  readonly stateDir: string;
  readonly current: () => Current;
  readonly log: Pick<Logger, 'warn'>;
};

type History = {
  differences: readonly HeldDifference[];
  octets: number;
};

const FILE_MODE = 0o640;

export function createZoneHistories({ stateDir, current, log }: ZoneHistoriesOptions): ZoneHistories {
  const histories = new Map<string, History>();
  let expected: ReadonlyMap<string, readonly Name[]> = new Map();
  /** The end of the queue of writes. */
  let written: Promise<void> = Promise.resolve();

  const write = (job: () => Promise<unknown>): void => {
    written = written.then(job).then(
      () => undefined,
      (error: unknown) => {
        log.warn({ err: error }, 'the differences for IXFR cannot be written: secondaries will transfer whole zones after a restart'); // prettier-ignore
      },
    );
  };
  /** The history of a zone of this generation; that of the file, if it leads to it. */
  const historyOf = (apex: Name, generation: Current): History => {
    const key = nameKey(apex);
    const found = histories.get(key);
    if (found) return found;
    const differences = readKept(historyPath(stateDir, apex), key, generation, log);
    const history = { differences, octets: differences.reduce((sum, each) => sum + octetsOf(each), 0) };
    histories.set(key, history);
    return history;
  };
  const forget = (apex: Name): void => {
    const history = histories.get(nameKey(apex));
    if (history?.differences.length === 0) return;
    histories.set(nameKey(apex), { differences: [], octets: 0 });
    write(() => rm(historyPath(stateDir, apex), { force: true }));
  };
  const add = (apex: Name, difference: HeldDifference, before: Current): void => {
    const path = historyPath(stateDir, apex);
    const history = historyOf(apex, before);
    const isNew = history.differences.length === 0;
    history.differences = [...history.differences, difference];
    history.octets += octetsOf(difference);
    if (!isTooLong(history.differences, history.octets) && !isNew) {
      write(() => appendFile(path, formatDifference(difference), { encoding: 'latin1', mode: FILE_MODE }));
      return;
    }
    if (!isNew) history.differences = shortened(history.differences);
    history.octets = history.differences.reduce((sum, each) => sum + octetsOf(each), 0);
    const text = history.differences.map(formatDifference).join('');
    write(() => replace(path, text));
  };
  const difference: ZoneHistories['difference'] = ({ apex, serial }) => {
    const generation = current();
    if (!infoOf(generation, apex)) return undefined;
    const { differences } = historyOf(canonical(apex), generation);
    const first = differences.findIndex(({ from }) => from === serial);
    return first < 0 ? undefined : condense(differences.slice(first));
  };
  return {
    expect: (names) => {
      expected = names;
    },
    replaced: (before, next) => {
      if (!next.settings.updates) {
        // Files are read again, and compared, once updates are allowed.
        histories.clear();
        return;
      }
      for (const info of changedZones(before.catalog.zones, next.catalog.zones)) {
        const apex = apexOf(info);
        const names = next.isUpdate === true ? changedNames(before, info, expected.get(nameKey(apex))) : undefined;
        const found = names && differenceBetween(before, next, info, names);
        if (found) add(apex, found, before);
        else forget(apex);
      }
    },
    changed: (before, next, { apex, was, names }) => {
      const info = infoOf(next, apex);
      const found = info && differenceBetween(before, next, info, names, was);
      if (found) add(apex, found, before);
      else forget(apex);
    },
    difference,
    answer: ({ message, peer, transport }) => {
      const { settings, loaded } = current();
      const request = readPeerRequest(message, 0, message.length, settings.transfer.keys, nowSeconds());
      if (transport !== TRANSPORT.UDP || !allowedPeer(settings.transfer, peer, request.verdict)) return undefined;
      const { query } = request;
      const serial = serialInIxfr(request);
      const found = serial === undefined ? undefined : difference({ apex: query.name.slice(0, query.nameOctets), serial }); // prettier-ignore
      const image = viewImage(loaded.image, loaded.atlas);
      return ixfrOverUdp(image, request, nowSeconds, { difference: found, most: udpLimit(request) });
    },
    flushed: () => written,
    reopen: () => {
      histories.clear();
    },
  };
}

function readKept(
  path: string,
  key: string,
  { loaded, catalog }: Current,
  log: ZoneHistoriesOptions['log'],
): readonly HeldDifference[] {
  try {
    const differences = readHistory(path);
    const last = differences.at(-1);
    const serial = catalog.zones.find((info) => nameKey(apexOf(info)) === key)?.serial;
    // Without a digest, the files may have changed while no server ran.
    const isKnown = last !== undefined && last.digest !== '' && last.digest === loaded.serials.get(key)?.digest;
    return isKnown && last.to === serial ? differences : [];
  } catch (error) {
    log.warn({ err: error }, `${path} cannot be read: secondaries will transfer the whole zone`);
    return [];
  }
}

/** Undefined if it is not known what has changed. */
function differenceBetween(
  before: Current,
  next: Current,
  info: ZoneInfo,
  names: readonly Name[],
  zoneBefore?: ServedZone,
): HeldDifference | undefined {
  const last = before.catalog.zones.find(({ name }) => name === info.name);
  // With other keys or at another time of signing, all signatures change.
  if (!last || last.serial === info.serial || signingOf(last) !== signingOf(info)) return undefined;
  const apex = apexOf(info);
  const [was, is] = [before, next].map(({ loaded }) => viewImage(loaded.image, loaded.atlas));
  const found = was && is ? findDifference(was, is, apex, names, zoneBefore) : undefined;
  const digest = next.loaded.serials.get(nameKey(apex))?.digest ?? '';
  return found && { ...found, from: last.serial, to: info.serial, digest };
}

/**
 * The names of a zone that a generation of updates may have changed: those that the updates change, and aliases.
 * Undefined if it is not known.
 */
function changedNames(
  before: Current,
  info: ZoneInfo,
  updated: readonly Name[] | undefined,
): readonly Name[] | undefined {
  const { aliases = [] } = before.catalog.zones.find(({ name }) => name === info.name) ?? {};
  if (aliases.length === 0) return updated;
  // The answers of services are not compared.
  const steered = (all: readonly AliasInfo[]): string =>
    JSON.stringify(all.filter(({ leadsTo }) => leadsTo === 'service').map(({ name, path }) => [name, path.at(-1)]));
  if (steered(aliases) !== steered(info.aliases ?? [])) return undefined;
  return [...(updated ?? []), ...aliases.map(({ name }) => canonical(parseName(name === '.' ? name : `${name}.`)))];
}

function signingOf({ signing }: ZoneInfo): string {
  return signing ? JSON.stringify([signing.signedAt, signing.denial, signing.keys]) : '';
}

function infoOf({ catalog }: Current, apex: Name): ZoneInfo | undefined {
  const key = nameKey(apex);
  return catalog.zones.find((info) => nameKey(apexOf(info)) === key);
}

function apexOf({ name }: ZoneInfo): Name {
  return canonical(parseName(name === '.' ? name : `${name}.`));
}

async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  await writeFile(`${path}.new`, text, { encoding: 'latin1', mode: FILE_MODE });
  await rename(`${path}.new`, path);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
