/**
 * Zones whose signatures take long: they are made by other threads, while the zone is served as it was signed last, or
 * unsigned.
 */
import { createReport } from '../config/diagnostics.ts';
import { signInBackground, type BackgroundSigning } from '../dnssec/sign-threads.ts';
import type { ZoneSigner } from '../dnssec/zone-signer.ts';
import { formatName } from '../wire/name.ts';
import { compileZone } from './image/compile-zone.ts';
import type { ZoneModel } from './read/model.ts';

/** A zone that is signed by other threads. */
export type PostponedZone = {
  readonly name: string;
  readonly signer: ZoneSigner;
  readonly children: ReadonlySet<string>;
  /** Undefined once its signatures are being made. */
  model: ZoneModel | undefined;
  underWay: BackgroundSigning | undefined;
  made: number;
  /** 0 before the signatures are counted. */
  total: number;
  isDone: boolean;
};

/** By the zone's file. */
export type PostponedZones = Map<string, PostponedZone>;

/** How far the signing of a zone is. */
export type SigningProgress = { readonly zone: string; readonly made: number; readonly total: number };

/** Signatures that take one core longer than this are made in the background. */
const MOST_SECONDS = 2;

/** Whether the signatures of a zone take so long that it is not to wait for them. */
export function takesLong(signer: ZoneSigner, { records, owners }: ZoneModel): boolean {
  return signer.expectedSeconds(records.count + (owners?.count ?? records.count)) > MOST_SECONDS;
}

/** Postpones a zone. Signing that is under way for it stops; the signatures that it made are in `signer`. */
export function postpone(
  postponed: PostponedZones,
  model: ZoneModel,
  signer: ZoneSigner,
  children: ReadonlySet<string>,
): void {
  // prettier-ignore
  const { file, apex } = model;
  postponed.get(file)?.underWay?.stop();
  const name = formatName(apex);
  postponed.set(file, { name, signer, children, model, underWay: undefined, made: 0, total: 0, isDone: false });
}

export type SigningListener = {
  readonly progress: (progress: readonly SigningProgress[]) => void;
  /** The signatures of a zone are made: a load finds all of them. */
  readonly done: (zone: PostponedZone) => void;
};

/** Starts making the signatures of the zones that were postponed since the last call. Blocks until they are counted. */
export function signPostponed(postponed: PostponedZones, cores: number, { progress, done }: SigningListener): void {
  const tell = (): void => {
    progress([...postponed.values()].map(({ name, made, total }) => ({ zone: name, made, total })));
  };
  for (const zone of postponed.values()) {
    const { model, signer, children } = zone;
    if (!model) continue;
    zone.model = undefined;
    // The serial does not matter: only the signature of the SOA is made again.
    compileZone({ model, serial: 0, children, report: createReport(), signer });
    const batch = signer.openBatch();
    zone.total = batch.count;
    tell();
    zone.underWay = signInBackground(batch, cores, {
      progress: (made) => {
        zone.made = made;
        tell();
      },
      done: () => {
        signer.accept(batch);
        zone.underWay = undefined;
        zone.isDone = true;
        done(zone);
      },
    });
  }
}
