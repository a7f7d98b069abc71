/**
 * Starts a reload when the signatures of a zone are due to be renewed, and raises `signatures_expiring` if they are not
 * renewed in time.
 */
import type { Alarms } from '../../config/alarms.ts';
import type { SigningInfo } from '../../dnssec/zone-signer.ts';
import { every, systemClock, type Cancel, type Clock } from '../../health/clock.ts';
import type { Catalog } from '../../zones/catalog.ts';

export type SignatureKeeper = {
  /** `reload` makes the signatures. */
  readonly start: (reload: () => Promise<unknown>) => void;
  /** Another generation is in force. */
  readonly replaced: () => void;
  readonly stop: () => void;
};

export type SignatureKeeperParts = {
  readonly alarms: Pick<Alarms, 'raise' | 'clear' | 'retain'>;
  /** The generation in force. */
  readonly catalog: () => Catalog;
  readonly clock?: Clock;
};

/** How often to check. */
const EVERY_MS = 5000;
/** The delay before the next attempt, if a reload has not renewed them. */
const AGAIN_MS = 300_000;

type Keeper = Required<SignatureKeeperParts> & {
  cancel: Cancel | undefined;
  reload: (() => Promise<unknown>) | undefined;
  /** The earliest time of the next attempt, in milliseconds since 1970. */
  notBefore: number;
};

export function createSignatureKeeper(parts: SignatureKeeperParts): SignatureKeeper {
  const keeper: Keeper = { clock: systemClock, ...parts, cancel: undefined, reload: undefined, notBefore: 0 };
  return {
    start(reload) {
      keeper.reload = reload;
      lookAtSignatures(keeper);
      keeper.cancel = every(keeper.clock, EVERY_MS, () => {
        lookAtSignatures(keeper);
      });
    },
    replaced() {
      keeper.notBefore = 0;
      lookAtSignatures(keeper);
    },
    stop() {
      keeper.cancel?.();
      keeper.reload = undefined;
    },
  };
}

/** Whether an operator must act: half of the time between refresh and expiry has passed. */
export function isExpiring({ refreshAt, expiresAt }: SigningInfo, nowSeconds: number): boolean {
  return expiresAt - nowSeconds < (expiresAt - refreshAt) / 2;
}

function lookAtSignatures(keeper: Keeper): void {
  const { alarms, catalog, clock, reload } = keeper;
  const wallMs = clock.wall();
  const now = wallMs / 1000;
  const expiring = new Set<string>();
  let isDue = false;
  for (const { name, signing } of catalog().zones) {
    if (!signing) continue;
    isDue ||= signing.refreshAt <= now;
    if (!isExpiring(signing, now)) continue;
    expiring.add(name);
    const hours = Math.max(0, Math.floor((signing.expiresAt - now) / 3600));
    const end = hours > 0 ? `end in ${hours} h` : 'have ended or end within an hour';
    alarms.raise(
      'signatures_expiring',
      `Signatures of ${name} ${end} and were not made again. Validating resolvers will not accept its answers.`,
      name,
    );
  }
  alarms.retain('signatures_expiring', expiring);
  if (!isDue || !reload || wallMs < keeper.notBefore) return;
  keeper.notBefore = wallMs + AGAIN_MS;
  void reload();
}
