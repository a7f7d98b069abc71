/**
 * Serials with `soa.serial: auto` in a fleet: tells other nodes the serials of this node, and adopts theirs
 * (docs/transfer.md#serials-in-a-fleet). The rule is zones/agree-serial.ts.
 */
import type { Logger } from 'pino';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { Loader } from '../../server/threads/load-thread.ts';
import { nameKey, parseName } from '../../wire/name.ts';
import type { FleetSerials } from '../../zones/agree-serial.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import { isUnchanged } from '../../zones/read/file-stamp.ts';
import { agreedEntry, type SerialEntry } from '../../zones/serials.ts';
import { plural } from '../output.ts';
import { prepare, type Current } from './generation.ts';

export type SerialAgreement = {
  /** The serials that are known in the fleet, for a load. */
  readonly known: () => FleetSerials | undefined;
  /** The server answers. From now on, other nodes are told its serials. */
  readonly start: () => void;
  /** Another generation is in force. */
  readonly replaced: () => void;
};

export type SerialAgreementParts = {
  readonly fleet: Fleet | undefined;
  readonly current: () => Current;
  readonly reload: () => Promise<unknown>;
  readonly log: Pick<Logger, 'info' | 'error'>;
};

/** Nodes that reload at the same time tell their serials within this time. */
const SETTLE_MS = 300;

export function createSerialAgreement({ fleet, current, reload, log }: SerialAgreementParts): SerialAgreement {
  let isServing = false;
  let timer: NodeJS.Timeout | undefined;
  let waits = false;
  const tell = (): void => {
    const keysOf = new Map(current().catalog.zones.map(({ name, signing }) => [keyOf(name), signing?.keysDigest]));
    const served = [...servedEntries(current())].flatMap(([key, { content, serial, digest }]) =>
      content === undefined || digest === '' ? [] : [[key, { content, serial, keys: keysOf.get(key) }] as const],
    );
    fleet?.serials.serve(new Map(served));
  };
  const look = async (): Promise<void> => {
    timer = undefined;
    const known = fleet?.serials.known();
    if (!isServing || known === undefined) return;
    const entries = [...servedEntries(current())];
    const changed = entries.filter(([key, entry]) => agreedEntry(key, entry, entry, known) !== entry);
    if (changed.length === 0) return;
    // Files that an operator is editing must not be loaded because of a serial.
    if (await isUnchanged(current().loaded.files)) {
      waits = false;
      log.info(`fleet: the nodes agreed on another serial of ${plural(changed.length, 'zone')}`);
      await reload();
    } else if (!waits) {
      waits = true;
      log.info(
        'fleet: another serial was agreed on, but configuration files changed too: it is applied with the next reload',
      );
    }
  };
  const lookSoon = (): void => {
    timer ??= setTimeout(() => {
      look().catch((error: unknown) => {
        log.error({ err: error }, 'a serial of the fleet could not be applied');
      });
    }, SETTLE_MS).unref();
  };
  fleet?.serials.listen(lookSoon);
  return {
    known: () => fleet && { known: fleet.serials.known(), isServed: true },
    start: () => {
      if (!fleet) return;
      isServing = true;
      tell();
      lookSoon();
    },
    replaced: () => {
      if (!isServing) return;
      tell();
      lookSoon();
    },
  };
}

/**
 * Gives the generation of a start the serials of the fleet, before the server answers: a node without saved serials
 * adopts those of other nodes.
 */
export async function withFleetSerials(
  first: Current,
  {
    fleet,
    loader,
    input,
    keyAgreement,
  }: {
    readonly fleet: Fleet | undefined;
    readonly loader: Loader;
    readonly input: LoadInput;
    readonly keyAgreement: { readonly agreed: () => ReadonlyMap<string, string> };
  },
): Promise<Current> {
  const known = fleet?.serials.known();
  const agreedKeys = keyAgreement.agreed();
  if (known === undefined || (known.size === 0 && agreedKeys.size === 0)) return first;
  const fleetSerials: FleetSerials = { known, isServed: false };
  const outcome = await loader.load({ ...input, fleetSerials, agreedKeys }, { inForce: first.loaded });
  if (!outcome.ok || outcome.value === first.loaded) return first;
  const next = prepare(outcome.value, first.number, first.warnings, first.served.length, first);
  // Files that changed during the start wait for a reload.
  return next.health === first.health ? next : first;
}

/** The entries of the zones that are served, by `nameKey` of the apex. */
export function* servedEntries({ catalog, loaded }: Current): Iterable<readonly [string, SerialEntry]> {
  for (const { name } of catalog.zones) {
    const key = keyOf(name);
    const entry = loaded.serials.get(key);
    if (entry !== undefined) yield [key, entry];
  }
}

/** The `nameKey` of a zone of the catalog. */
export function keyOf(name: string): string {
  return nameKey(parseName(name === '.' ? name : `${name}.`));
}
